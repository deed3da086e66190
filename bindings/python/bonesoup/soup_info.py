"""What a soup holds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from ctypes import byref, c_char_p, c_double
from typing import Any

from bonesoup import _constants, _structs
from bonesoup._convert import info, name_of
from bonesoup._handle import check
from bonesoup._library import C


@dataclasses.dataclass(frozen=True)
class SoupInfo:
    """The base's shape, and the soup's limits."""

    # As in config.json.
    model_type: str
    # The run-time format of the weights.
    weights: str
    # Logits per position.
    vocabulary: int
    layers: int
    # Width of the residual stream.
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    # Positions that the model was made for.
    context: int
    has_tokenizer: bool
    # Whether every backbone is low-rank, so that blends are live unless folded ones are asked for.
    live: bool
    # Of the base.
    parameters: int
    # Bytes of the base's and the adapters' weights in run-time form, mapped ones included.
    memory: int
    # Of the backbone matrix; 0 without one.
    condition: float
    # 0: no limit.
    max_abs_coefficient: float
    # What happens to a preference outside the objectives' limits: "reject" or "clamp".
    on_violation: str


@dataclasses.dataclass(frozen=True)
class Norm:
    """Mean and deviation of a reward over the base's own samples."""

    mean: float
    std: float


@dataclasses.dataclass(frozen=True)
class Objective:
    """One thing that is rewarded."""

    name: str
    label: str
    description: str
    # Its part of the default preference.
    default: float
    # Guard rails on its part.
    minimum: float
    maximum: float
    # Of a slider.
    step: float
    # Of the reward, for monitoring.
    floor: float | None
    norm: Norm | None
    # Stretch factor; 1: none.
    extrapolation: float


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A fine-tune of the base."""

    # As given.
    path: str
    # A LoRA adapter; else a full checkpoint.
    low_rank: bool
    # Of its files.
    parameters: int
    # The largest of an adapter.
    rank: int
    # Adapted layers.
    modules: int


def raw_soup(handle: Any) -> _structs.SoupInfo:
    raw: _structs.SoupInfo = info(_structs.SoupInfo)
    check(C.bsoup_soup_get_info(handle, byref(raw)))
    return raw


def read_soup(handle: Any) -> SoupInfo:
    raw = raw_soup(handle)
    return SoupInfo(
        model_type=raw.model_type.decode(),
        weights=name_of(_constants.FORMATS, raw.weights),
        vocabulary=raw.vocabulary,
        layers=raw.layers,
        hidden=raw.hidden,
        heads=raw.heads,
        kv_heads=raw.kv_heads,
        head_size=raw.head_size,
        context=raw.context,
        has_tokenizer=bool(raw.has_tokenizer),
        live=bool(raw.live),
        parameters=raw.parameters,
        memory=raw.memory,
        condition=raw.condition,
        max_abs_coefficient=raw.max_abs_coefficient,
        on_violation=name_of(_constants.GUARDS, raw.on_violation),
    )


def read_objective(handle: Any, index: int) -> Objective:
    raw = info(_structs.ObjectiveInfo)
    check(C.bsoup_soup_objective(handle, index, byref(raw)))
    return Objective(
        name=raw.name.decode(),
        label=raw.label.decode(),
        description=raw.description.decode(),
        default=raw.default_weight,
        minimum=raw.minimum,
        maximum=raw.maximum,
        step=raw.step,
        floor=None if math.isnan(raw.floor) else raw.floor,
        norm=None if math.isnan(raw.norm_mean) else Norm(raw.norm_mean, raw.norm_std),
        extrapolation=raw.extrapolation,
    )


def read_backbone(handle: Any, index: int) -> Backbone:
    raw = info(_structs.BackboneInfo)
    check(C.bsoup_soup_backbone(handle, index, byref(raw)))
    return Backbone(
        path=raw.path.decode("utf-8", "surrogateescape"),
        low_rank=bool(raw.low_rank),
        parameters=raw.parameters,
        rank=raw.rank,
        modules=raw.module_count,
    )


def read_preset(handle: Any, index: int, names: list[str]) -> tuple[str, Mapping[str, float]]:
    name, values = c_char_p(), (c_double * len(names))()
    check(C.bsoup_soup_preset(handle, index, byref(name), values, len(names)))
    return (name.value or b"").decode(), dict(zip(names, values))
