"""Measures of a front whose objectives are all maximised; DESIGN §3 names them.

Everywhere `preferences` is [points][objectives] and `rewards` the mean reward there, of the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import moocore
import numpy

Floats = numpy.ndarray[Any, Any]


def hypervolume(rewards: Floats, reference: Sequence[float]) -> float:
    """The volume between the reference point and the front: what is better than the reference and not above the front.

    Fronts that are compared need one reference for all.
    """
    better = rewards[(rewards > numpy.asarray(reference)).all(axis=1)]
    if not len(better):
        return 0.0
    return float(moocore.hypervolume(better, ref=numpy.asarray(reference, float), maximise=True))


def nondominated(rewards: Floats) -> Floats:
    """Return which points no other point beats in everything; of equal points, the first."""
    return numpy.asarray(moocore.is_nondominated(rewards, maximise=True, keep_weakly=False))


def inner_product(preferences: Floats, rewards: Floats) -> float:
    """Mean of μ·r(μ): how much of what was asked for came."""
    return float((preferences * rewards).sum(axis=1).mean())


def sparsity(rewards: Floats) -> float:
    """Σ_j Σ_i (r_j(i) − r_j(i+1))² / (points − 1) over the non-dominated points, sorted by each objective.

    As in PGMORL (Xu et al., ICML 2020). Less is denser. 0 for a single point.
    """
    front = numpy.sort(rewards[nondominated(rewards)], axis=0)
    return float((numpy.diff(front, axis=0) ** 2).sum() / (len(front) - 1)) if len(front) > 1 else 0.0


def spacing(rewards: Floats) -> float:
    """The deviation of the non-dominated points' distances (‖·‖₁) to their nearest neighbour: 0 is evenly spread.

    As Schott (1995) has it, with points − 1 below the sum. 0 for fewer than two points.
    """
    front = rewards[nondominated(rewards)]
    if len(front) < 2:
        return 0.0
    apart = numpy.abs(front[:, None] - front[None]).sum(axis=2)
    numpy.fill_diagonal(apart, numpy.inf)
    return float(apart.min(axis=1).std(ddof=1))


def controllability(preferences: Floats, rewards: Floats) -> float:
    """Of all pairs of preferences in which μ_j differs, the share in which r_j differs the same way, over all j."""
    wanted = numpy.sign(numpy.round(preferences[:, None] - preferences[None], 9))
    got = numpy.sign(rewards[:, None] - rewards[None])
    differs = wanted != 0
    return float((got == wanted)[differs].mean()) if differs.any() else 1.0


def continuity(preferences: Floats, rewards: Floats) -> float:
    """The largest ‖Δr‖/‖Δμ‖ of any pair: no small move of a slider does more than that."""
    apart = numpy.linalg.norm(preferences[:, None] - preferences[None], axis=2)
    change = numpy.linalg.norm(rewards[:, None] - rewards[None], axis=2)
    different = apart > 1e-9
    return float((change[different] / apart[different]).max()) if different.any() else 0.0
