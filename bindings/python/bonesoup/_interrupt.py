"""Ctrl-C during long calls.

Python runs signal handlers in the main thread, between its own instructions, and so not while that thread is inside the
library. But its C handler writes the signal's number to the wakeup file descriptor at once. A thread of ours reads it
there and raises the running call's cancel flag; the call comes back, and KeyboardInterrupt follows.

Meanwhile SIGINT's Python handler is ours, which raises only inside the caller's own callbacks. Elsewhere an exception
could come between the library and the code around it: lost in a callback's first instruction, or before the result of
a call has found its owner. Where the host has set a handler other than Python's own, all of this stays out of its way,
and its handler runs when the call returns.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

from bonesoup.cancel import Cancel

# The flags of all calls that run now, the main thread's in the order they were made (callbacks call back in).
_running: dict[int, Cancel] = {}
_EXIT_SECONDS = 2.0


class _Watcher:
    """The file descriptor that the C handler writes to and the thread that reads it."""

    def __init__(self) -> None:
        self._read, self.descriptor = os.pipe()
        os.set_blocking(self.descriptor, False)
        self.forward = -1  # where the host wants such bytes
        self.main: list[Cancel] = []  # the flags of the main thread's calls
        self._settled = threading.Event()
        threading.Thread(target=self._watch, name="bonesoup-interrupt", daemon=True).start()

    def _watch(self) -> None:
        while True:
            signals = os.read(self._read, 256)
            if signal.SIGINT in signals:
                self.cancel()
            if self.forward >= 0:
                with suppress(OSError):
                    os.write(self.forward, signals.replace(_SETTLE, b""))
            if _SETTLE in signals:
                self._settled.set()

    def settle(self) -> None:
        """Wait until a signal that Python's handler has seen is through here too, so that it meets no later call."""
        if _seen:
            self._settled.clear()
            os.write(self.descriptor, _SETTLE)
            self._settled.wait(_SETTLE_SECONDS)

    def cancel(self) -> None:
        for flag in tuple(self.main):
            flag.request()


_SETTLE = b"\0"  # no signal's number
_SETTLE_SECONDS = 1.0

_watcher: _Watcher | None = None
_raises = False  # whether our handler may raise: in callbacks
_pending = False  # whether a SIGINT came while it might not
_seen = False  # whether our handler has run in this call


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    global _pending, _seen
    _seen = True
    if _raises:
        raise KeyboardInterrupt
    _pending = True
    if _watcher:
        _watcher.cancel()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class LongCall:
    """The context of one call that may take long: `flag` is its cancel flag, the caller's own or a new one."""

    def __init__(self, given: Cancel | None) -> None:
        self.flag = given if given is not None else Cancel()
        self._watches = False
        self._own = given is None

    def __enter__(self) -> LongCall:
        if _in_main_thread() and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _on_interrupt):
            self._watch()
        _running[id(self)] = self.flag
        return self

    def _watch(self) -> None:
        global _watcher, _raises, _pending, _seen
        self._handler = signal.getsignal(signal.SIGINT)
        self._outermost = self._handler is not _on_interrupt
        if self._outermost:
            _pending = _seen = False
        _raises = False
        signal.signal(signal.SIGINT, _on_interrupt)
        self._watcher = _watcher = _watcher or _Watcher()
        self._descriptor = signal.set_wakeup_fd(_watcher.descriptor, warn_on_full_buffer=False)
        if self._outermost:
            _watcher.forward = self._descriptor
        _watcher.main.append(self.flag)
        self._watches = True

    def __exit__(self, *exception: object) -> None:
        _running.pop(id(self), None)
        pending = self._watches and self._unwatch()
        if self._own:
            self.flag.close()
        if pending:
            raise KeyboardInterrupt from None

    def _unwatch(self) -> bool:
        """Put back what `_watch` changed and return whether a SIGINT came meanwhile."""
        global _raises, _pending
        self._watcher.main.pop()
        with suppress(OSError, ValueError):  # the host may have closed it
            signal.set_wakeup_fd(self._descriptor, warn_on_full_buffer=False)
        if self._outermost:
            self._watcher.settle()
        if self._outermost and signal.getsignal(signal.SIGINT) is _on_interrupt:
            signal.signal(signal.SIGINT, self._handler)
        pending, _pending = _pending, False
        _raises = not self._outermost  # one inside of another was made in a callback
        return pending


class Interruptible:
    """The context of the caller's own code inside of a long call, where Ctrl-C is an exception as anywhere else."""

    def __enter__(self) -> None:
        global _raises
        self._main = _in_main_thread()
        self._raised = _raises
        if self._main:
            _raises = True

    def __exit__(self, *exception: object) -> None:
        global _raises
        if self._main:
            _raises = self._raised


def _stop() -> None:
    """Stop what daemon threads still run in the library, so that no callback meets an interpreter that has ended."""
    end = time.monotonic() + _EXIT_SECONDS
    while _running and time.monotonic() < end:
        for flag in tuple(_running.values()):
            flag.request()
        time.sleep(0.001)


atexit.register(_stop)
os.register_at_fork(after_in_child=_running.clear)
