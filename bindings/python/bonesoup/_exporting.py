"""The calls that write blends and factored backbones."""

from __future__ import annotations

import os
from ctypes import byref, c_uint64
from typing import Any, Callable, Literal, TypedDict

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
from bonesoup.options import Format

ExportKind = Literal["folder", "adapter"]
Vectors = Literal["refuse", "drop"]


class ExportOptions(TypedDict, total=False):
    """The keyword arguments of `Blend.export` and `Soup.export`."""

    # "folder" (default): a Hugging Face folder. "adapter": one PEFT LoRA folder, where the backbones are low-rank.
    kind: ExportKind
    # By default each tensor of a folder is as in the base's files, and an adapter as its sources.
    format: Format | None
    # Of an adapter: 0 (default) is exact, the backbones' ranks add up; else recompressed to so many by SVD.
    rank: int
    # Of a folder: bytes of tensors in one file; 0 (default): 5,000,000,000.
    shard_size: int
    # What the adapter's config and the card call the base, as a hub's name; by default its path.
    base_name: str | None
    # Whether the card gives the SHA-256 of the source files that are read whole; default True.
    hashes: bool
    # Gets the share done; returning False cancels. True: a bar on a terminal.
    progress: Progress | None
    # Stops the call when requested.
    cancel: Cancel | None


def _options(how: ExportOptions) -> Any:
    unknown = sorted(set(how) - ExportOptions.__optional_keys__)
    if unknown:
        raise TypeError(f"export() got an unexpected keyword argument {unknown[0]!r}")
    wish = options(_structs.ExportOptions, "bsoup_export_options_init")
    wish.kind = word(_constants.EXPORTS, how.get("kind", "folder"), "kind")
    wish.format = format_number(how.get("format"), "format")
    put(wish, "rank", how.get("rank", 0), "rank")
    put(wish, "shard_size", how.get("shard_size", 0), "shard_size")
    name = how.get("base_name")
    wish.base_name = None if name is None else name.encode()
    wish.skip_hashes = not how.get("hashes", True)
    return wish


def _export(how: ExportOptions, write: Callable[[Any, Any], int]) -> Factoring | None:
    callbacks, handle, wish = Callbacks(), FactoringHandle(), _options(how)
    wish.progress = callbacks.progress(how.get("progress"), "exporting")
    with LongCall(how.get("cancel")) as call:
        wish.cancel = call.flag._handle
        callbacks.check(write(byref(wish), byref(handle._pointer)))
    if handle.closed:
        return None
    with handle:
        return handle.read()


def export_blend(blend: Any, path: str | os.PathLike[str], how: ExportOptions) -> Factoring | None:
    """Write a blend, and return what recompression lost."""
    name = os.fsencode(path)
    return _export(how, lambda wish, out: C.bsoup_blend_export(blend, name, wish, out))


def export_point(soup: Any, point: Any, path: str | os.PathLike[str], how: ExportOptions) -> Factoring | None:
    """Write a point of a soup, and return what recompression lost."""
    name = os.fsencode(path)
    return _export(how, lambda wish, out: C.bsoup_soup_export(soup, byref(point), name, wish, out))


def export_size(soup: Any, point: Any, how: ExportOptions) -> int:
    """Return the bytes of tensors that an export would write."""
    count = c_uint64()
    check(C.bsoup_soup_export_size(soup, byref(point), byref(_options(how)), byref(count)))
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
