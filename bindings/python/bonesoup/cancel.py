"""Stopping long work."""

from __future__ import annotations

from ctypes import byref

from bonesoup._handle import Handle, check
from bonesoup._library import C


class Cancel(Handle):
    """A flag that stops long work: give it to a call as `cancel=`, and `request` from any thread.

    The call ends with a CancelledError within 50 ms of work. A raised flag stays raised: make a new one for the next
    call. Ctrl-C in the main thread raises the flag of the call that runs there.
    """

    _free = C.bsoup_cancel_free
    _kind = "cancel flag"

    def __init__(self) -> None:
        super().__init__()
        check(C.bsoup_cancel_create(byref(self._pointer)))

    def request(self) -> None:
        """Raise the flag; on a closed one it does nothing."""
        C.bsoup_cancel_request(self._pointer)
