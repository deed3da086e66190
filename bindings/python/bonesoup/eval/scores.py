"""What was measured at one point of one method."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy

Floats = numpy.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Scores:
    """All arrays are [prompts][samples], rewards with one more axis."""

    # Normalised, one per objective.
    rewards: Floats
    # Raw, of rewards that nobody asked for.
    others: Floats
    # Nats over the base of a whole text: Σ_t (ρ_t − 1 − ln ρ_t), ρ = p_base/p of the sampled token. Its mean is the KL
    # to the base, as that of Σ −ln ρ_t, with less noise.
    kl: Floats
    # −Σ ln p_base: of it, perplexity under the base.
    surprise: Floats
    # Tokens.
    length: Floats

    def save(self, file: Path) -> None:
        """Write it whole or not at all."""
        temporary = file.with_name(f".{file.name}")
        with temporary.open("wb") as stream:
            numpy.savez_compressed(stream, **{key: array.astype(numpy.float32) for key, array in vars(self).items()})
        os.replace(temporary, file)

    @staticmethod
    def load(file: Path) -> Scores:
        """Read it."""
        with numpy.load(file) as content:
            return Scores(**{field.name: content[field.name] for field in dataclasses.fields(Scores)})


def divergence(own: Floats, base: Floats) -> float:
    """Σ_t (ρ_t − 1 − ln ρ_t), ln ρ_t = ln p_base − ln p (Schulman's k3, which GRPO trains with)."""
    ratio = base.astype(float) - own
    return float((numpy.exp(ratio) - 1 - ratio).sum())
