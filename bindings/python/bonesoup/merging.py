"""Whole models into one, by merge methods: files in, a Hugging Face folder out."""

from __future__ import annotations

import dataclasses
import math
import os
import weakref
from collections.abc import Sequence
from ctypes import byref, c_char_p, c_float
from typing import Any, Callable, Optional, Union

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks, take_back, view
from bonesoup._convert import info, name_of, options, put
from bonesoup._handle import check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import format_number, merge_parameters
from bonesoup.cancel import Cancel
from bonesoup.engine import Engine
from bonesoup.errors import Status, error
from bonesoup.options import Format, Layers, Setting
from bonesoup.progress import ProgressBar

Path = Union[str, "os.PathLike[str]"]


@dataclasses.dataclass(frozen=True)
class MethodParameter:
    """A number that a merge method takes."""

    name: str
    summary: str
    # True: 0 or 1.
    is_flag: bool
    # True: each model has its own.
    per_model: bool
    # None: it has to be given.
    default: float | None
    minimum: float
    maximum: float


@dataclasses.dataclass(frozen=True)
class Method:
    """A merge method of the library."""

    name: str
    summary: str
    # "unused", "optional" or "required".
    base: str
    # How many models beside the base: least and most.
    models: tuple[int, int]
    # What a weight below 0 does. "signed": the sign goes into the task vector; "factor": it is a plain factor of the
    # model; "ignored": the method has no weights.
    negative: str
    # Whether a soup can be blended by it.
    for_soups: bool
    # Whether a seed decides.
    random: bool
    parameters: tuple[MethodParameter, ...]


@dataclasses.dataclass(frozen=True)
class MergeProgress:
    """How far a merge is."""

    share: float
    seconds: float
    # At the rate so far; NaN before there is one.
    seconds_left: float
    # Written.
    bytes_per_second: float


@dataclasses.dataclass(frozen=True)
class MergeBlock:
    """Elements of one tensor for a method of one's own; the views are valid during the call only."""

    tensor: str
    # None without a base.
    base: memoryview[float] | None
    models: tuple[memoryview[float], ...]
    weights: tuple[float, ...]
    # Of the first element in the tensor, row by row.
    offset: int
    # To be filled.
    result: memoryview[float]


@dataclasses.dataclass(frozen=True)
class MergePlan:
    """What a merge would do."""

    tensor_count: int
    # Bytes of large memory at once, with the engine's threads.
    peak_memory: int
    # Bytes of tensors that are written.
    output_size: int
    # Of method, parameters, seed, format, and the names and sizes of the source files.
    fingerprint: str


# Gets how far the merge is; False cancels. True, in place of a function: a bar on a terminal.
OnProgress = Union[Callable[[MergeProgress], Optional[bool]], bool]
# Fills a block's result; False cancels. On any thread, several at once.
MergeFunction = Callable[[MergeBlock], Optional[bool]]


def methods() -> list[Method]:
    """Return the merge methods that there are."""
    found: list[Method] = []
    while True:
        raw = info(_structs.MethodInfo)
        status = C.bsoup_method_get_info(len(found), byref(raw))
        if status == Status.NOT_FOUND:
            return found
        check(status)
        found.append(
            Method(
                name=raw.name.decode(),
                summary=raw.summary.decode(),
                base=name_of(_constants.METHOD_BASES, raw.base),
                models=(raw.min_models, raw.max_models),
                negative=name_of(_constants.NEGATIVES, raw.negative),
                for_soups=bool(raw.for_soups),
                random=bool(raw.random),
                parameters=tuple(_parameter(len(found), index) for index in range(raw.parameter_count)),
            )
        )


def _parameter(method: int, index: int) -> MethodParameter:
    raw = info(_structs.ParameterInfo)
    check(C.bsoup_method_parameter(method, index, byref(raw)))
    return MethodParameter(
        name=raw.name.decode(),
        summary=raw.summary.decode(),
        is_flag=bool(raw.is_flag),
        per_model=bool(raw.per_model),
        default=None if raw.is_required else raw.default_value,
        minimum=raw.minimum,
        maximum=raw.maximum,
    )


def merge(
    models: Sequence[Path],
    out: Path | None,
    *,
    method: str | MergeFunction,
    base: Path | None = None,
    settings: Sequence[Setting] = (),
    layers: Sequence[Layers] | None = None,
    format: Format | None = None,
    seed: int = 0,
    shard_size: int = 0,
    sync: bool = True,
    hashes: bool = False,
    engine: Engine | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> MergePlan:
    """Merge models into the folder `out`, and return what was planned.

    Parameters
    ----------
    models
        Model folders, safetensors files, or PEFT LoRA folders of the base; the base among them stands for itself.
    out
        A folder that does not exist, or is empty; None: nothing is written, everything is opened and checked.
    method
        The name of one of `methods`, or a function of one's own, which is called for blocks of tensors.
    base
        The model that the others were tuned from.
    settings
        Parameters of the method.
    layers
        One for each model: the result's layers are those of slice 0, then of slice 1, and so on, each merged of one
        layer of each of the slice's models, the base among them if the method needs one. A model is as often in
        `models` as it gives layers. None: whole models.
    format
        Of the result; None: each tensor as in the base, or in the first model.
    seed
        Of random methods.
    shard_size
        Bytes of tensors in one file; 0: 5,000,000,000.
    sync
        Whether to wait until all is on the disk.
    hashes
        Whether the card has the SHA-256 of the source files, which are read once more for it.
    engine
        Whose threads and memory are used; None: the process's default engine.
    """
    callbacks = Callbacks()
    wish = options(_structs.MergeOptions, "bsoup_merge_options_init")
    paths = (c_char_p * len(models))(*map(os.fsencode, models))
    parameters = merge_parameters(settings)
    wish.models, wish.model_count = paths, len(models)
    wish.parameters, wish.parameter_count = parameters, len(parameters)
    if layers is not None:
        if len(layers) != len(models):
            raise error(Status.MISMATCH, f"{len(models)} models, and layers of {len(layers)}")
        ranges = (_structs.MergeLayers * len(layers))()
        for raw, item in zip(ranges, layers):
            put(raw, "slice", item.slice, "slice")
            put(raw, "first_layer", item.first, "first")
            put(raw, "layer_count", item.count, "count")
        wish.layers = ranges
    wish.base = None if base is None else os.fsencode(base)
    wish.format = format_number(format, "format")
    put(wish, "seed", seed, "seed")
    put(wish, "shard_size", shard_size, "shard_size")
    wish.skip_sync, wish.hash_files = not sync, hashes
    if callable(method):
        wish.merge_block = callbacks.merge_block(_block_function(method))
        wish.method = getattr(method, "__name__", "own").encode()
    else:
        wish.method = method.encode()
    bar: ProgressBar | None = None
    if progress is True:
        bar = ProgressBar("merging")
    if bar is not None:
        wish.progress = callbacks.merge_progress(_bar_function(bar))
    elif callable(progress):
        wish.progress = callbacks.merge_progress(_progress_function(progress))
    home = None if engine is None else engine._handle
    plan = info(_structs.MergeInfo)
    try:
        with LongCall(cancel) as call:
            wish.cancel = call.flag._handle
            callbacks.check(C.bsoup_merge_plan(home, byref(wish), byref(plan)))
            if out is not None:
                callbacks.check(C.bsoup_merge_files(home, os.fsencode(out), byref(wish)))
    finally:
        if bar is not None:
            bar.clear()
    return MergePlan(plan.tensor_count, plan.peak_memory, plan.output_size, plan.fingerprint.decode())


def _progress_function(function: Callable[[MergeProgress], bool | None]) -> Callable[[Any], bool | None]:
    return lambda raw: function(MergeProgress(raw.share, raw.seconds, raw.seconds_left, raw.bytes_per_second))


def _bar_function(bar: ProgressBar) -> Callable[[Any], bool | None]:
    def show(raw: Any) -> None:
        left = "" if math.isnan(raw.seconds_left) else f" {raw.seconds_left:.0f} s left"
        bar.title = f"merging, {raw.bytes_per_second / 1e6:.0f} MB/s{left}"
        bar(raw.share)

    return show


def _block_function(function: MergeFunction) -> Callable[[Any], bool | None]:
    def call(raw: Any) -> bool | None:
        count = raw.count
        base = view(raw.base, count, c_float, "f").toreadonly() if raw.base else None
        models = tuple(view(raw.models[index], count, c_float, "f").toreadonly() for index in range(raw.model_count))
        result = view(raw.result, count, c_float, "f")
        views = [*([] if base is None else [base]), *models, result]
        arrays = [weakref.ref(item.obj) for item in views]
        try:
            return function(
                MergeBlock(
                    raw.tensor.decode("utf-8", "replace"),
                    base,
                    models,
                    tuple(raw.weights[: raw.model_count]),
                    raw.offset,
                    result,
                )
            )
        finally:
            for item in views:
                item.release()
            del item, views, base, models, result
            for array in arrays:
                take_back(None, array)

    return call


def require_method(name: str) -> Method:
    """Return the method of that name."""
    for method in methods():
        if method.name == name:
            return method
    known = ", ".join(method.name for method in methods())
    raise error(Status.NOT_FOUND, f"“{name}” is no merge method; there are {known}")
