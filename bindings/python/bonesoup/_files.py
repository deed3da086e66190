"""Options for opening files: from the file system, or from a table of files in memory or behind a function."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from ctypes import addressof, c_char, c_char_p, c_void_p, cast
from typing import TYPE_CHECKING, Any, Callable, Protocol, Union

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import options, put, word
from bonesoup._requests import format_number
from bonesoup.errors import BoneSoupError, Status, error

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ReadAt(Protocol):
    """A file whose bytes are asked for. It may be called on any thread."""

    @property
    def size(self) -> int:
        """Bytes of the file."""

    def read_at(self, offset: int, size: int, /) -> Buffer:
        """Return these `size` bytes."""


class BinaryFile(Protocol):
    """An open file, as of `open(path, "rb")`; its position changes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset, return it."""

    def readinto(self, buffer: memoryview[int], /) -> int | None:
        """Read from there, return how many bytes that were."""


# A file that is neither a buffer nor on disk.
FileSource = Union[ReadAt, BinaryFile]


def open_options(
    callbacks: Callbacks,
    weights: str | None,
    load: str,
    verify: str | Iterable[str],
    files: Mapping[str, Buffer | FileSource] | None,
    progress: Progress | None,
) -> tuple[Any, object]:
    """Return bsoup_open_options, and what the library borrows beyond the call."""
    wish = options(_structs.OpenOptions, "bsoup_open_options_init")
    wish.weights = format_number(weights, "weights")
    wish.load = word(_constants.LOADS, load, "load")
    for check in [verify] if isinstance(verify, str) else verify:
        wish.verify |= word(_constants.VERIFICATIONS, check, "verify")
    wish.progress = callbacks.progress(progress, "opening")
    borrowed = []
    if files is not None:
        table = (_structs.File * len(files))()
        for entry, (name, content) in zip(table, files.items()):
            entry.name = name.encode()
            if hasattr(content, "read_at") or hasattr(content, "readinto"):
                size, read = _source(name, content)
                put(entry, "size", size, f"the size of {name}")
                entry.read_at = callbacks.read_at(read)
            else:
                entry.data, entry.size, owner = _memory(content)
                borrowed.append(owner)
        wish.files, wish.file_count = table, len(files)
    return wish, borrowed


def _memory(content: Buffer) -> tuple[int | None, int, object]:
    """Return where the bytes are, how many, and what keeps them there."""
    with memoryview(content) as bytes_of:
        size, in_place = bytes_of.nbytes, not bytes_of.readonly and bytes_of.contiguous
    if in_place and size:
        array = (c_char * size).from_buffer(content)
        return addressof(array), size, array
    copy = content if isinstance(content, bytes) else bytes(content)
    return cast(c_char_p(copy), c_void_p).value, size, copy


def _source(name: str, source: Any) -> tuple[int, Callable[[int, memoryview[int]], None]]:
    """Return the size of a file, and what fills a buffer with its bytes from an offset on."""
    if hasattr(source, "read_at"):

        def fill(offset: int, buffer: memoryview[int]) -> None:
            with memoryview(source.read_at(offset, buffer.nbytes)) as content:
                if content.nbytes != buffer.nbytes:
                    raise _short(name, content.nbytes, offset, buffer)
                buffer[:] = content.cast("B")

        return source.size, fill

    position = threading.Lock()

    def read(offset: int, buffer: memoryview[int]) -> None:
        done = 0
        with position:
            source.seek(offset)
            while done < buffer.nbytes:
                with buffer[done:] as rest:
                    count = source.readinto(rest)
                if not count:
                    raise _short(name, done, offset, buffer)
                done += count

    return source.seek(0, os.SEEK_END), read


def _short(name: str, got: int, offset: int, buffer: memoryview[int]) -> BoneSoupError:
    return error(Status.IO, f"the source of {name} gave {got} of {buffer.nbytes} bytes from offset {offset} on")
