"""Calibrated sliders: equal drags make equal changes (the inverse arc length of the front, arXiv 2605.20619)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from bonesoup.eval.surface import Surface

Floats = numpy.ndarray[Any, Any]
_STEPS = 20
_FINE = 400


def path(objective: int, rest: Sequence[float], count: int) -> Floats:
    """Return the preferences as one slider goes from 0 to 1, the others sharing what is left as in `rest`."""
    others = numpy.asarray(rest, float).copy()
    others[objective] = 0
    total = others.sum()
    others = (
        others / total if total > 0 else numpy.where(numpy.arange(len(others)) == objective, 0, 1 / (len(others) - 1))
    )
    part = numpy.linspace(0, 1, count)[:, None]
    made: Floats = (1 - part) * others
    made[:, objective] = part[:, 0]
    return made


def calibrate(
    names: Sequence[str], defaults: Sequence[float], preferences: Sequence[Sequence[float]], rewards: Sequence[Any]
) -> dict[str, Any]:
    """Return `calibration.json`: for each objective, its part μ_j at 0, 1/20, …, 1 of the slider's way.

    Between equally far positions of a slider, ‖Δr‖ is equal along the fitted front. Between the entries, interpolate.
    """
    surface = Surface(preferences, rewards)
    positions = numpy.linspace(0, 1, _STEPS + 1)
    sliders: dict[str, Any] = {}
    for index, name in enumerate(names):
        fine = surface(path(index, defaults, _FINE + 1))
        length = numpy.concatenate([[0], numpy.cumsum(numpy.linalg.norm(numpy.diff(fine, axis=0), axis=1))])
        if not length[-1] > 0:
            part = positions
        else:
            part = numpy.interp(positions * length[-1], length, numpy.linspace(0, 1, _FINE + 1))
        sliders[name] = {"preference": [round(float(value), 5) for value in part], "change": float(length[-1])}
    return {"calibration": 1, "unit": "deviations of the base's samples", "sliders": sliders}


def evenness(calibration: Mapping[str, Any], surface: Surface, defaults: Sequence[float]) -> list[float]:
    """Return, for each slider, its largest step of ‖Δr‖ over its smallest, between the entries of its table."""
    ratios = []
    for index, slider in enumerate(calibration["sliders"].values()):
        way = path(index, defaults, 2)
        points = [(1 - part) * way[0] + part * way[1] for part in slider["preference"]]
        steps = numpy.linalg.norm(numpy.diff(surface(points), axis=0), axis=1)
        ratios.append(float(steps.max() / max(steps.min(), 1e-12)))
    return ratios
