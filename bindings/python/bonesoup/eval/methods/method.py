"""What a method is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from bonesoup.blend import Blend
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Sample
from bonesoup.eval.task import Task
from bonesoup.soup import Soup


class Point(NamedTuple):
    """Where a method is measured."""

    preference: Preference
    # How far it goes from the base: 1 as it is, less towards the base, more beyond; for best-of-N it is N.
    strength: float


class Method(Protocol):
    """A way to write texts for a preference."""

    # In files and tables.
    name: str
    # One sentence for the report.
    description: str
    # Whose base it is measured against.
    soup: Soup
    # That it is measured at, its own among them; several give its reward as a function of KL.
    strengths: Sequence[float]
    # The strength that it has by itself.
    own: float

    def preferences(self, grid: Sequence[Preference]) -> list[Preference]:
        """Return those that it has an answer to."""
        ...

    def sample(self, points: Sequence[Point], task: Task) -> Iterator[tuple[int, list[Sample]]]:
        """Yield, for each point in any order, its number and the texts: `task.samples` for each prompt in turn."""
        ...

    def blend(self, point: Point) -> Blend | None:
        """Return the model that it samples from at a point; None where that is no single model."""
        ...
