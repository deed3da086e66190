"""How backbones change their base, and how much they agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from ctypes import byref
from typing import Any

from bonesoup import _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import info, options
from bonesoup._handle import Handle, check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup.cancel import Cancel

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class ComparedTensor:
    """One tensor, or all together; Δ is a backbone minus the base. What has no value is NaN."""

    # As in the base's files; "" for all together.
    name: str
    # (rows, columns); a vector is one row; (0, 0) for all together.
    shape: tuple[int, int]
    elements: int
    # Frobenius, as all norms.
    base_norm: float
    # Of the elements that two or more backbones change, the share with unlike signs: what TIES resolves.
    conflict: float
    # 1 − Σ|ΣΔ| / ΣΣ|Δ|: how much is lost where all are added.
    cancellation: float
    # ‖Δ‖ of each backbone.
    norms: tuple[float, ...]
    # max |Δ| of each backbone.
    largest: tuple[float, ...]
    # Of each backbone, the share of elements with Δ ≠ 0.
    changed: tuple[float, ...]
    # Between two Δ.
    cosines: Matrix
    # Of the elements that both change, the share with like signs.
    agreements: Matrix


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All tensors of a soup, in the order of computing."""

    # The backbones, as the soup has them.
    backbones: tuple[str, ...]
    tensors: tuple[ComparedTensor, ...]
    # All together.
    total: ComparedTensor


class _ComparisonHandle(Handle):
    _free = C.bsoup_comparison_free
    _kind = "comparison"

    def tensor(self, index: int) -> ComparedTensor:
        raw = info(_structs.ComparedTensor)
        check(C.bsoup_comparison_tensor(self._handle, index, byref(raw)))
        return _tensor(raw, self.count)

    @property
    def count(self) -> int:
        return int(self.info().backbone_count)

    def info(self) -> Any:
        raw = info(_structs.ComparisonInfo)
        check(C.bsoup_comparison_get_info(self._handle, byref(raw)))
        return raw


def _tensor(raw: Any, count: int) -> ComparedTensor:
    def matrix(values: Any) -> Matrix:
        return tuple(tuple(values[row * count : (row + 1) * count]) for row in range(count))

    return ComparedTensor(
        name=raw.name.decode(),
        shape=(raw.rows, raw.columns),
        elements=raw.elements,
        base_norm=raw.base_norm,
        conflict=raw.conflict,
        cancellation=raw.cancellation,
        norms=tuple(raw.norms[:count]),
        largest=tuple(raw.largest[:count]),
        changed=tuple(raw.changed[:count]),
        cosines=matrix(raw.cosines),
        agreements=matrix(raw.agreements),
    )


def compare(soup: Any, backbones: Sequence[str], progress: Progress | None, cancel: Cancel | None) -> Comparison:
    """Return the comparison of a soup handle's backbones."""
    callbacks, handle = Callbacks(), _ComparisonHandle()
    wish = options(_structs.CompareOptions, "bsoup_compare_options_init")
    wish.progress = callbacks.progress(progress, "comparing")
    with LongCall(cancel) as call:
        wish.cancel = call.flag._handle
        callbacks.check(C.bsoup_soup_compare(soup, byref(wish), byref(handle._pointer)))
    with handle:
        *tensors, total = map(handle.tensor, range(handle.info().tensor_count + 1))
    return Comparison(tuple(backbones), tuple(tensors), total)
