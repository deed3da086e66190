"""Owners of the library's handles."""

from __future__ import annotations

import sys
from ctypes import c_void_p
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from bonesoup._library import C
from bonesoup.errors import Status, error

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from typing import Self
    else:
        from typing_extensions import Self


class Handle:
    """One handle of the library, freed by `close`, at the end of a `with` block, or with the object.

    Objects may be closed in any order: what was made from one goes on without it.
    """

    _free: ClassVar[Callable[[c_void_p], None]]
    _kind: ClassVar[str]

    def __init__(self, keep: tuple[object, ...] = ()) -> None:
        self._pointer = c_void_p()
        # What the library borrows for this object; it lives as long as the object, also after close, as a call on
        # another thread may still be using it.
        self._keep = keep

    @property
    def _handle(self) -> c_void_p:
        if self.closed:
            raise error(Status.STALE_HANDLE, f"this {self._kind} is closed")
        return self._pointer

    @property
    def closed(self) -> bool:
        """Whether the object was closed."""
        return not self._pointer

    def close(self) -> None:
        """Free what the object holds. Closing twice does nothing; any other use after it is a StaleHandleError."""
        pointer, self._pointer = self._pointer, c_void_p()
        if pointer:
            type(self)._free(pointer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        pointer: Any = getattr(self, "_pointer", None)  # absent where __init__ failed
        if pointer:
            type(self)._free(pointer)


def last_error(status: int) -> Exception:
    """Return the exception for the status that the last call on this thread gave."""
    return error(status, C.bsoup_last_error().decode("utf-8", "replace"))


def check(status: int) -> None:
    """Raise the exception for a status other than OK."""
    if status:
        raise last_error(status)
