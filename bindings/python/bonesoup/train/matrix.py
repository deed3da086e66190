"""The backbone matrix: which mix of rewards each backbone is trained on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bonesoup.errors import Status, error

Rows = tuple[tuple[float, ...], ...]


def bone(count: int, beta: float) -> Rows:
    """Bone Soup's rule (arXiv 2502.10762): β on the diagonal, the rest of each row shared equally."""
    if count < 2:
        raise error(Status.INVALID_ARGUMENT, f"the rule bone mixes 2 objectives or more; there is {count}")
    if not math.isfinite(beta) or abs(beta * count - 1) < 1e-9:
        raise error(Status.INVALID_ARGUMENT, f"beta {beta:g} with {count} objectives gives rows that are all equal")
    rest = (1 - beta) / (count - 1)
    return tuple(tuple(beta if i == j else rest for j in range(count)) for i in range(count))


def identity(count: int) -> Rows:
    """Rewarded Soup: each backbone on its own objective."""
    return tuple(tuple(float(i == j) for j in range(count)) for i in range(count))


def rows(wish: object, count: int) -> Rows:
    """Return the matrix of `soup.yml`'s form: ``{rule: bone, beta: 0.7}``, ``{rule: identity}`` or rows of numbers."""
    if isinstance(wish, Mapping):
        rule, beta = wish.get("rule"), wish.get("beta", 0.7)
        if rule == "identity" and set(wish) == {"rule"}:
            return identity(count)
        if rule == "bone" and set(wish) <= {"rule", "beta"} and _is_number(beta):
            return bone(count, float(beta))
        raise error(Status.MALFORMED, f"matrix is {dict(wish)}; it is {{rule: bone, beta: B}} or {{rule: identity}}")
    if not isinstance(wish, Sequence) or isinstance(wish, str) or not wish:
        raise error(Status.MALFORMED, f"matrix is {wish!r}; a rule or rows of numbers are needed")
    found = []
    for number, row in enumerate(wish):
        if not isinstance(row, Sequence) or len(row) != count or not all(map(_is_number, row)):
            raise error(Status.MALFORMED, f"matrix row {number} is {row!r}; it needs {count} numbers")
        if abs(sum(row) - 1) > 1e-6:
            raise error(Status.MALFORMED, f"matrix row {number} sums to {sum(row):g}; a mix of rewards sums to 1")
        found.append(tuple(float(value) for value in row))
    return tuple(found)


def parse(text: str) -> Any:
    """Return the form of `rows` from a command line: ``bone:0.7``, ``identity`` or rows as JSON."""
    rule, colon, beta = text.partition(":")
    if text == "identity":
        return {"rule": "identity"}
    try:
        if rule == "bone" and colon:
            return {"rule": "bone", "beta": float(beta)}
        return json.loads(text)
    except ValueError:
        raise error(
            Status.INVALID_ARGUMENT, f"matrix {text!r} is neither bone:BETA nor identity nor JSON like [[.6, .4], …]"
        ) from None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
