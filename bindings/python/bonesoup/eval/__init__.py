"""How good a soup is: its front, measured against the alternatives. Needs the extra `eval`."""

from __future__ import annotations

from bonesoup.eval.measures import (
    continuity,
    controllability,
    hypervolume,
    inner_product,
    nondominated,
    spacing,
    sparsity,
)
from bonesoup.eval.preferences import Preference, neighbours, simplex
from bonesoup.eval.sampling import Row, Sample, Sampling, sample
from bonesoup.eval.sweep import sweep
from bonesoup.eval.task import Task

__all__ = [
    "Preference",
    "Row",
    "Sample",
    "Sampling",
    "Task",
    "continuity",
    "controllability",
    "hypervolume",
    "inner_product",
    "neighbours",
    "nondominated",
    "sample",
    "simplex",
    "spacing",
    "sparsity",
    "sweep",
]
