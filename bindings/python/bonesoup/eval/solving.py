"""λ(μ) without guard rails: what is measured is what the soup would write, not what its limits make of the wish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.soup import Soup

Floats = numpy.ndarray[Any, Any]
# As the library has it: how far Bᵀλ may be from μ where there are fewer backbones than objectives.
_MISSED = 1e-6


def unguarded(soup: Soup) -> Soup:
    """Lift the limit of an opened soup's coefficients, and return it."""
    soup.set_guard(0.0)
    return soup


def coefficients(soup: Soup, preference: Sequence[float]) -> list[float]:
    """Return the solution λ of Bᵀλ = μ nearest to 1/m each, stretched: Σ_j μ_j·k_j·λ(e_j)."""
    matrix = soup.matrix
    if matrix is None:
        raise error(Status.MISMATCH, "the soup has no backbone matrix, so that it has no blend for a preference")
    stretch = numpy.asarray([objective.extrapolation for objective in soup.objectives])
    wish = numpy.asarray(preference, float)
    if (stretch == 1).all():
        return list(map(float, _solve(numpy.asarray(matrix), wish)))
    vertices = [_solve(numpy.asarray(matrix), vertex) for vertex in numpy.eye(len(wish))]
    return list(map(float, (wish * stretch) @ numpy.asarray(vertices)))


def _solve(matrix: Floats, wish: Floats) -> Floats:
    backbones, objectives = matrix.shape
    start = numpy.full(backbones, 1 / backbones if backbones > objectives else 0.0)
    found: Floats = start + numpy.linalg.pinv(matrix.T) @ (wish - matrix.T @ start)
    if numpy.abs(matrix.T @ found - wish).max() > _MISSED:
        raise error(Status.UNSOLVABLE, f"{backbones} backbones cannot give the preference {wish.tolist()}")
    found[numpy.abs(found) < 1e-12] = 0.0
    return found
