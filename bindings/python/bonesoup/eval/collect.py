"""A method's points, read back: arrays over strengths, preferences and prompts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.eval.preferences import Preference
from bonesoup.eval.scores import Scores

Floats = numpy.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Measured:
    """Means over the samples of each prompt: [strengths][preferences][prompts], rewards with one more axis.

    Strengths ascend, and where a method is a model that strength 0 makes the base, they begin with it.
    """

    name: str
    strengths: tuple[float, ...]
    # Which of them is the method by itself.
    own: int
    preferences: tuple[Preference, ...]
    rewards: Floats
    others: Floats
    kl: Floats
    surprise: Floats
    length: Floats
    # Mean KL per token between neighbours; empty where not measured.
    steps: Floats

    def only(self, preferences: Sequence[Preference]) -> Measured:
        """Return it at these preferences, in their order."""
        chosen = [self.preferences.index(preference) for preference in preferences]
        arrays = {key: getattr(self, key)[:, chosen] for key in ("rewards", "others", "kl", "surprise", "length")}
        return dataclasses.replace(self, preferences=tuple(preferences), **arrays)


def collect(folder: Path, name: str, own: float) -> Measured:
    """Read all points of a method that are there for every strength."""
    files: dict[float, dict[Preference, Path]] = {}
    for file in (folder / name).glob("*.npz"):
        # The name's numbers are rounded; these are not.
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        files.setdefault(facts["strength"], {})[tuple(facts["preference"])] = file
    strengths = tuple(sorted(files))
    complete = set.intersection(*(set(files[strength]) for strength in strengths))
    preferences = tuple(sorted(complete, reverse=True))
    grid = [[Scores.load(files[strength][preference]) for preference in preferences] for strength in strengths]

    def mean(key: str) -> Floats:
        return numpy.asarray([[getattr(scores, key).mean(axis=1) for scores in row] for row in grid], float)

    steps = folder / name / "neighbours.json"
    return Measured(
        name=name,
        strengths=strengths,
        own=strengths.index(own),
        preferences=preferences,
        rewards=mean("rewards"),
        others=mean("others"),
        kl=mean("kl"),
        surprise=mean("surprise"),
        length=mean("length"),
        steps=numpy.asarray(json.loads(steps.read_text())["token_kl"] if steps.exists() else ()),
    )
