"""Options for opening files: from the file system, or from a table of files in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ctypes import addressof, c_char, c_char_p, c_void_p, cast
from typing import TYPE_CHECKING, Any

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import options, word
from bonesoup._requests import format_number

if TYPE_CHECKING:
    from typing_extensions import Buffer


def open_options(
    callbacks: Callbacks,
    weights: str | None,
    load: str,
    verify: str | Iterable[str],
    files: Mapping[str, Buffer] | None,
    progress: Progress | None,
) -> tuple[Any, object]:
    """Return bsoup_open_options, and what the library borrows beyond the call."""
    wish = options(_structs.OpenOptions, "bsoup_open_options_init")
    wish.weights = format_number(weights, "weights")
    wish.load = word(_constants.LOADS, load, "load")
    for check in [verify] if isinstance(verify, str) else verify:
        wish.verify |= word(_constants.VERIFICATIONS, check, "verify")
    if progress is not None:
        wish.progress = callbacks.progress(progress)
    borrowed = []
    if files is not None:
        table = (_structs.File * len(files))()
        for entry, (name, content) in zip(table, files.items()):
            address, size, owner = _memory(content)
            entry.name, entry.size, entry.data = name.encode(), size, address
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
