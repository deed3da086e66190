"""The calls that write blends and factored backbones."""

from __future__ import annotations

import os
from ctypes import byref, c_uint64
from typing import Any, Literal

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import options, put, word
from bonesoup._handle import check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import format_number
from bonesoup.cancel import Cancel
from bonesoup.errors import Status, error
from bonesoup.factoring import Factoring, FactoringHandle

ExportKind = Literal["folder", "adapter"]
Vectors = Literal["refuse", "drop"]


def export_options(kind: str, format: str | None, rank: int, shard_size: int, base_name: str | None) -> Any:
    """Return bsoup_export_options."""
    wish = options(_structs.ExportOptions, "bsoup_export_options_init")
    wish.kind = word(_constants.EXPORTS, kind, "kind")
    wish.format = format_number(format, "format")
    put(wish, "rank", rank, "rank")
    put(wish, "shard_size", shard_size, "shard_size")
    wish.base_name = None if base_name is None else base_name.encode()
    return wish


def export(
    blend: Any, path: str | os.PathLike[str], wish: Any, hashes: bool, progress: Progress | None, cancel: Cancel | None
) -> Factoring | None:
    """Write a blend, and return what recompression lost."""
    callbacks, handle = Callbacks(), FactoringHandle()
    wish.skip_hashes = not hashes
    wish.progress = callbacks.progress(progress, "exporting")
    with LongCall(cancel) as call:
        wish.cancel = call.flag._handle
        callbacks.check(C.bsoup_blend_export(blend, os.fsencode(path), byref(wish), byref(handle._pointer)))
    if handle.closed:
        return None
    with handle:
        return handle.read()


def export_size(blend: Any, wish: Any) -> int:
    """Return the bytes of tensors that an export would write."""
    count = c_uint64()
    check(C.bsoup_blend_export_size(blend, byref(wish), byref(count)))
    return count.value


def factor(
    soup: Any,
    backbone: int,
    path: str | os.PathLike[str],
    *,
    rank: int | None,
    max_error: float,
    format: str | None,
    vectors: str,
    progress: Progress | None,
    cancel: Cancel | None,
) -> Factoring:
    """Write a full backbone as an adapter, and return what is lost."""
    if rank is not None and rank < 1:
        raise error(Status.INVALID_ARGUMENT, f"rank = {rank}; it must be 1 or more")
    if backbone < 0:
        raise error(Status.NOT_FOUND, f"there is no backbone {backbone}")
    callbacks, handle = Callbacks(), FactoringHandle()
    wish = options(_structs.FactorOptions, "bsoup_factor_options_init")
    put(wish, "rank", rank or 0, "rank")
    wish.max_error = max_error
    wish.format = format_number(format, "format")
    wish.vectors = word(_constants.VECTORS, vectors, "vectors")
    wish.progress = callbacks.progress(progress, "factoring")
    with LongCall(cancel) as call:
        wish.cancel = call.flag._handle
        status = C.bsoup_backbone_factor(soup, backbone, os.fsencode(path), byref(wish), byref(handle._pointer))
        callbacks.check(status)
    with handle:
        return handle.read()
