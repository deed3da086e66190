"""Medians, and ratios with an interval."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Ratio(NamedTuple):
    """A ratio and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(ours: Sequence[float], theirs: Sequence[float], samples: int = 4000) -> Ratio:
    """The geometric mean of the pairs' ratios; the interval by bootstrap over the pairs.

    Pairs are neighbours in time, so that what slows the machine for a while falls on both of a pair.
    """
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=False) if a > 0 and b > 0]
    if not logs:
        return Ratio(math.nan, math.nan, math.nan)
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(logs, k=len(logs))) for _ in range(samples))
    low, high = means[int(0.025 * samples)], means[min(samples - 1, int(0.975 * samples))]
    return Ratio(math.exp(statistics.fmean(logs)), math.exp(low), math.exp(high))


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else math.nan
