"""A progress bar for terminals."""

from __future__ import annotations

import sys
import time


class ProgressBar:
    """Draws the share done on standard error, where that is a terminal; nothing for what takes less than half a second.

    `progress=True` makes one with the name of what is done.

    >>> Soup.open("my-soup", progress=ProgressBar("opening my soup"))
    """

    _WIDTH = 30

    def __init__(self, title: str = "") -> None:
        self.title = title
        self._start = time.monotonic()
        self._shown = False
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, share: float) -> None:
        """Draw it; a full bar is wiped away."""
        if not self._is_terminal or time.monotonic() - self._start < 0.5:
            return
        full = round(share * self._WIDTH)
        line = f"\r{self.title} [{'#' * full}{'.' * (self._WIDTH - full)}] {share:4.0%}"
        self._write(line if share < 1 else "\r\x1b[K")
        self._shown = share < 1

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exception: object) -> None:
        """Wipe away what a call that broke off has left."""
        self.clear()

    def clear(self) -> None:
        """Wipe the bar away."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
