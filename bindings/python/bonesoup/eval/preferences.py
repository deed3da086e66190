"""Which preferences a front is measured at."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error

# One part per objective, in the soup's order, summing to 1.
Preference = tuple[float, ...]
_SAME = 1e-9


def simplex(objectives: int, divisions: int) -> list[Preference]:
    """Return all preferences whose parts are multiples of 1/divisions: C(N+n−1, n−1) of them (66 for n = 3, N = 10)."""
    if objectives < 1 or divisions < 1:
        raise error(Status.INVALID_ARGUMENT, f"a simplex of {objectives} objectives in {divisions} parts has no points")
    bars = itertools.combinations(range(divisions + objectives - 1), objectives - 1)
    points = []
    for places in bars:
        edges = (-1, *places, divisions + objectives - 1)
        points.append(tuple((b - a - 1) / divisions for a, b in zip(edges, edges[1:])))
    return points[::-1]


def read(text: str, names: Sequence[str]) -> list[Preference]:
    """Read `simplex:N`, or a JSON file with a list of preferences: lists of numbers, or objects by objective."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "simplex":
        if not rest.isascii() or not rest.isdigit() or int(rest) < 1:
            raise error(Status.INVALID_ARGUMENT, f"{text}: the simplex is divided into a whole number of parts")
        return simplex(len(names), int(rest))
    items = json.loads(Path(text).read_text(encoding="utf-8"))
    if not isinstance(items, list) or not items:
        raise error(Status.MALFORMED, f"{text} is not a list of preferences")
    return [_point(item, names, text) for item in items]


def _point(item: Any, names: Sequence[str], file: str) -> Preference:
    if isinstance(item, dict) and not set(item) - set(names):
        item = [item.get(name, 0.0) for name in names]
    if not isinstance(item, list) or len(item) != len(names):
        raise error(Status.MALFORMED, f"{file}: {item!r} is not a preference over {', '.join(names)}")
    point = tuple(float(part) for part in item)
    if not abs(math.fsum(point) - 1) <= 1e-6 or min(point) < 0:
        raise error(Status.MALFORMED, f"{file}: the parts of {item!r} are not positive numbers that sum to 1")
    return point


def distance(a: Preference, b: Preference) -> float:
    """‖Δμ‖."""
    return math.dist(a, b)


def neighbours(preferences: Sequence[Preference]) -> list[tuple[int, int]]:
    """Return the pairs that are as near as any pair is: on `simplex`, those that differ by one step."""
    pairs = list(itertools.combinations(range(len(preferences)), 2))
    apart = [distance(preferences[a], preferences[b]) for a, b in pairs]
    near = min((value for value in apart if value > _SAME), default=0.0)
    return [pair for pair, value in zip(pairs, apart) if _SAME < value <= near * (1 + 1e-6)]
