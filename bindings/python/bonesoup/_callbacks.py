"""The caller's functions as C callbacks: an exception in one ends the call and is raised when the call has returned."""

from __future__ import annotations

import weakref
from ctypes import addressof, c_char, c_float, c_int32
from typing import Any, Callable, Optional, Union

from bonesoup._handle import check
from bonesoup._interrupt import Interruptible
from bonesoup._structs import LogitsFn, MergeBlockFn, MergeProgressFn, ProgressFn, ReadAtFn, TextFn
from bonesoup.progress import ProgressBar

# Gets the share done, 0 to 1; False cancels. True, in place of a function: a bar on a terminal.
Progress = Union[Callable[[float], Optional[bool]], bool]
# Gets new text; False ends the generation.
OnText = Callable[[str], Optional[bool]]
# Gets the logits, to be changed in place, and all tokens so far; False cancels. Both are valid during the call only.
LogitsHook = Callable[["memoryview[float]", "memoryview[int]"], Optional[bool]]


def view(pointer: Any, count: int, kind: Any, letter: Any, owner: object = None) -> memoryview[Any]:
    """Return a view of `count` numbers at a ctypes pointer, and let it keep the memory's owner."""
    if count == 0:
        return memoryview(b"").cast(letter)
    array = (kind * count).from_address(addressof(pointer.contents))
    array.owner = owner
    return memoryview(array).cast("B").cast(letter)


def take_back(borrowed: memoryview[Any] | None, array: weakref.ref[Any]) -> None:
    """Release a view of borrowed memory. `array` is its `obj`, which lives as long as anything that was made of it."""
    if borrowed is not None:
        borrowed.release()
    if array() is not None:
        raise BufferError("a slice, an array or the like of a view of borrowed memory is still in use")


class Callbacks:
    """The callbacks of one call, or of one begun generation, alive as long as this object."""

    def __init__(self) -> None:
        self._exception: BaseException | None = None
        self._functions: list[Any] = []
        self._bar: ProgressBar | None = None

    @property
    def used(self) -> bool:
        """Whether there is any."""
        return bool(self._functions)

    def progress(self, wish: Progress | None, title: str) -> Any:
        if wish is None or wish is False:
            return ProgressFn()
        if wish is True:
            wish = self._bar = ProgressBar(title)
        function: Callable[[float], bool | None] = wish
        return self._keep(ProgressFn(self._guarded(lambda share, context: function(share))))

    def text(self, function: OnText) -> Any:
        return self._keep(TextFn(self._guarded(lambda text, size, context: function(text[:size].decode()))))

    def logits(self, function: LogitsHook) -> Any:
        def hook(logits: Any, count: int, tokens: Any, token_count: int, context: Any) -> bool | None:
            values, text = view(logits, count, c_float, "f"), view(tokens, token_count, c_int32, "i").toreadonly()
            arrays = weakref.ref(values.obj), weakref.ref(text.obj)
            with values, text:  # released at the end, so that a later use is an exception
                result = function(values, text)
            for array in arrays:
                take_back(None, array)
            return result

        return self._keep(LogitsFn(self._guarded(hook)))

    def merge_progress(self, function: Callable[[Any], bool | None]) -> Any:
        return self._keep(MergeProgressFn(self._guarded(lambda progress, context: function(progress.contents))))

    def merge_block(self, function: Callable[[Any], bool | None]) -> Any:
        return self._keep(MergeBlockFn(self._guarded(lambda block, context: function(block.contents))))

    def read_at(self, fill: Callable[[int, memoryview[int]], None]) -> Any:
        def read(context: Any, offset: int, destination: int, size: int) -> None:
            if size:
                buffer = memoryview((c_char * size).from_address(destination)).cast("B")
                array = weakref.ref(buffer.obj)
                with buffer:  # released at the end, as the views of a hook
                    fill(offset, buffer)
                take_back(None, array)

        return self._keep(ReadAtFn(self._guarded(read)))

    def _keep(self, function: Any) -> Any:
        self._functions.append(function)
        return function

    def _guarded(self, function: Callable[..., bool | None]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            try:
                with Interruptible():
                    return int(function(*arguments) is False)
            except BaseException as exception:
                self._exception = exception
                return 1

        return call

    def check(self, status: int) -> None:
        """Raise what a callback raised, else the exception for a status other than OK."""
        if self._bar is not None:
            self._bar.clear()
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception
        check(status)
