"""Guard rails from a measured front: where every objective stays above its floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.eval.surface import Surface

Floats = numpy.ndarray[Any, Any]
_FINE = 40


@dataclasses.dataclass(frozen=True)
class Guard:
    """A box of preferences: limits of the sliders."""

    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    # The share of the simplex where all floors hold, and that of the box.
    region: float
    box: float


def find(front: Mapping[str, Any], floors: Mapping[str, float], *, errors: float = 1.96) -> Guard:
    """Return a box inside which every objective stays above its floor, as large as cutting face by face finds it.

    Parameters
    ----------
    floors
        In the front's unit, for as many of its objectives as matter.
    errors
        How many standard errors the fitted front must lie above a floor.
    """
    names: Sequence[str] = front["objectives"]
    unknown = sorted(set(floors) - set(names))
    if unknown:
        raise error(Status.NOT_FOUND, f"no objective {unknown[0]} among {', '.join(names)}")
    points = [[point["preference"][name] for name in names] for point in front["points"]]
    rewards = [[point["rewards"][name] for name in names] for point in front["points"]]
    noise = numpy.mean([[point["errors"][name] for name in names] for point in front["points"]], axis=0)
    surface = Surface(points, rewards)
    grid = numpy.asarray(_simplex(len(names)))
    # All points have the same prompts and seeds, so that what is luck in those, no number of points takes away. Where
    # points miss the fit each by itself, it is surer than they are: p of N degrees of freedom share that.
    freedom = min(1.0, len(names) * (len(names) + 1) / 2 / len(points))
    safe = surface(grid) - errors * numpy.maximum(noise, surface.residual * numpy.sqrt(freedom))
    limits = numpy.asarray([floors.get(name, -numpy.inf) for name in names])
    good = (safe >= limits).all(axis=1)
    if not good.any():
        best = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, safe.max(axis=0)))
        raise error(Status.GUARD_RAIL, f"no preference keeps all floors; the most that each can be alone is {best}")
    low, high = _box(grid, good)
    return Guard(tuple(low.tolist()), tuple(high.tolist()), float(good.mean()), float(_inside(grid, low, high).mean()))


def _simplex(objectives: int) -> list[tuple[float, ...]]:
    from bonesoup.eval.preferences import simplex

    return simplex(objectives, _FINE if objectives <= 3 else 12)


def _inside(grid: Floats, low: Floats, high: Floats) -> Floats:
    return numpy.asarray(((grid >= low - 1e-9) & (grid <= high + 1e-9)).all(axis=1))


def _box(grid: Floats, good: Floats) -> tuple[Floats, Floats]:
    """Cut the face whose cut leaves the most good points, until no bad one is inside."""
    low, high = grid.min(axis=0), grid.max(axis=0)
    while True:
        inside = _inside(grid, low, high)
        if not (inside & ~good).any():
            chosen = grid[inside]
            return chosen.min(axis=0), chosen.max(axis=0)
        options = []
        for axis in range(grid.shape[1]):
            values = numpy.unique(numpy.round(grid[inside, axis], 9))
            if len(values) < 2:
                continue
            for side, value in (("low", values[1]), ("high", values[-2])):
                new_low, new_high = low.copy(), high.copy()
                (new_low if side == "low" else new_high)[axis] = value
                left = _inside(grid, new_low, new_high)
                removed_bad = int((inside & ~good & ~left).sum())
                removed_good = int((inside & good & ~left).sum())
                options.append(((removed_bad + 1) / (removed_good + 1), axis, side, new_low, new_high))
        if not options:
            return low, high
        _, _, _, low, high = max(options, key=lambda option: option[0])
