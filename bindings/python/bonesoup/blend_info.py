"""What a blend is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from bonesoup import _constants
from bonesoup._convert import name_of, names_of

Adjustment = Literal["renormalized", "clamped"]


@dataclasses.dataclass(frozen=True)
class BlendInfo:
    """A point of a soup."""

    # Each objective's part after adjustments; None for a blend made from coefficients.
    preference: Mapping[str, float] | None
    # λ, one per backbone.
    coefficients: tuple[float, ...]
    # 1 − Σλ over the full backbones.
    base_share: float
    # The condition number of the backbone matrix; 0 for a blend made from coefficients.
    condition: float
    # What was done to the preference: its parts divided by their sum, or moved inside the guard rails.
    adjustments: tuple[Adjustment, ...]
    # "folded" or "live".
    kind: str
    # The format of its weights.
    weights: str
    # Bytes of its own weights.
    memory: int
    # 64 hexadecimal digits: in one process, blends that have the same give the same bits. Empty where nothing was made.
    fingerprint: str


def from_raw(raw: Any, names: Sequence[str], preference: Sequence[float], coefficients: Sequence[float]) -> BlendInfo:
    """Return the facts in a bsoup_blend_info and the numbers that go with it."""
    return BlendInfo(
        preference=dict(zip(names, preference)) if raw.objective_count else None,
        coefficients=tuple(coefficients),
        base_share=raw.base_share,
        condition=raw.condition,
        adjustments=cast("tuple[Adjustment, ...]", names_of(_constants.ADJUSTMENTS, raw.adjustments)),
        kind=name_of(_constants.BLENDS, raw.kind),
        weights=name_of(_constants.FORMATS, raw.weights),
        memory=raw.memory,
        fingerprint=raw.fingerprint.decode(),
    )
