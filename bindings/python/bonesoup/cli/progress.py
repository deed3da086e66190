"""A bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
import time


class Bar:
    """Draws the share done; nothing for what takes less than half a second."""

    _WIDTH = 30

    def __init__(self, title: str) -> None:
        self._title = title
        self._start = time.monotonic()
        self._shown = False
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, share: float) -> None:
        if not self._is_terminal or time.monotonic() - self._start < 0.5:
            return
        self._shown = True
        full = round(share * self._WIDTH)
        print(f"\r{self._title} [{'#' * full}{'.' * (self._WIDTH - full)}] {share:4.0%}", end="", file=sys.stderr)
        sys.stderr.flush()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)
            sys.stderr.flush()
