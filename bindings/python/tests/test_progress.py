"""Progress bars: on a terminal only, and wiped away at the end."""

from __future__ import annotations

import io
import sys
import time

import pytest

import bonesoup
from support import MODELS, SOUPS

WIPED = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What takes long enough for a bar is everything."""
    ticks = iter(range(10**9))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    return monkeypatch


def on_terminal(patch: pytest.MonkeyPatch, screen: Terminal) -> Terminal:
    """Make it standard error; in the test itself, as pytest sets its own after the fixtures."""
    patch.setattr(sys, "stderr", screen)
    return screen


def test_each_long_call_has_one(patch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(patch, Terminal())
    with bonesoup.Soup.open(SOUPS / "llama3-lora", progress=True, load="copy") as soup:
        soup.blend(coefficients=[0.1, 0.2, 0.3], kind="folded", progress=True).close()
        soup.generate([1, 2, 3] * 20, progress=True, max_tokens=1)
        with soup.session() as session:
            session.append([1, 2, 3])
            session.decode(progress=True)
    text = terminal.getvalue()
    for title in ("opening", "blending", "reading", "computing"):
        assert f"\r{title} [" in text
    assert text.endswith(WIPED)
    assert "\n" not in text


def test_generating_at_a_new_point_shows_the_fold_too(patch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(patch, Terminal())
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        soup.generate([1, 2], coefficients=[0.1, 0.2, 0.3], kind="folded", max_tokens=1, progress=True)
    assert "\rblending [" in terminal.getvalue()


def test_a_call_that_breaks_off_leaves_none(patch: pytest.MonkeyPatch) -> None:
    cancel = bonesoup.Cancel()

    class Stops(Terminal):
        def write(self, text: str) -> int:
            cancel.request()
            return super().write(text)

    screen = on_terminal(patch, Stops())
    with bonesoup.Soup.open(MODELS / "llama3") as soup, soup.session(context=256) as session:
        session.append([1, 2, 3] * 80)
        with pytest.raises(bonesoup.CancelledError):
            session.decode(progress=True, cancel=cancel)
    assert screen.getvalue().endswith(WIPED)


@pytest.mark.parametrize("error", [io.StringIO(), None])
def test_elsewhere_there_is_none(patch: pytest.MonkeyPatch, error: io.StringIO | None) -> None:
    patch.setattr(sys, "stderr", error)
    with bonesoup.Soup.open(MODELS / "llama3", progress=True) as soup:
        soup.generate([1, 2, 3], progress=True, max_tokens=1)
        soup.generate([1, 2, 3], progress=False, max_tokens=1)
    if error is not None:
        assert error.getvalue() == ""
