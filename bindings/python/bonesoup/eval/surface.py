"""A smooth front through measured points: what can be asked between them, and without their noise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy

Floats = numpy.ndarray[Any, Any]


class Surface:
    """Each reward as Σ_i a_i μ_i + Σ_{i<k} b_ik μ_i μ_k, by least squares: Scheffé's polynomial for mixtures.

    Linear terms are the rewards at the vertices; the products are how the front bends between them.
    """

    def __init__(self, preferences: Sequence[Sequence[float]], rewards: Sequence[Sequence[float]]) -> None:
        points, values = numpy.asarray(preferences, float), numpy.asarray(rewards, float)
        self._quadratic = len(points) >= points.shape[1] * (points.shape[1] + 1) // 2
        self._factors: Floats = numpy.linalg.lstsq(self._terms(points), values, rcond=None)[0]
        # The deviation of the points from it, per reward.
        self.residual: Floats = (self(points) - values).std(axis=0)

    def _terms(self, points: Floats) -> Floats:
        pairs = itertools.combinations(range(points.shape[1]), 2) if self._quadratic else ()
        return numpy.column_stack([points, *(points[:, a] * points[:, b] for a, b in pairs)])

    def __call__(self, preferences: Any) -> Floats:
        """Return the rewards at preferences: [points][objectives]."""
        made: Floats = self._terms(numpy.atleast_2d(numpy.asarray(preferences, float))) @ self._factors
        return made
