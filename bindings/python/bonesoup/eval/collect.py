"""A method's points, read back: arrays over strengths, preferences and prompts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.eval.preferences import Preference
from bonesoup.eval.scores import Scores

Floats = numpy.ndarray[Any, Any]
# Where the base's own texts are, as a method's of strength 0.
BASE = "base"


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
    # The base's own rewards, [prompts][objectives], where the folder has them.
    base: Floats | None = None

    def only(self, preferences: Sequence[Preference]) -> Measured:
        """Return it at these preferences, in their order."""
        chosen = [self.preferences.index(preference) for preference in preferences]
        arrays = {key: getattr(self, key)[:, chosen] for key in ("rewards", "others", "kl", "surprise", "length")}
        return dataclasses.replace(self, preferences=tuple(preferences), **arrays)


def collect(
    folder: Path,
    name: str,
    own: float,
    preferences: Sequence[Preference] | None = None,
    strengths: Sequence[float] | None = None,
) -> Measured:
    """Read the points of a method at these preferences and strengths, whatever else is in its folder.

    Without strengths: all that have these preferences. Without preferences: those that every strength has.
    """
    files: dict[float, dict[Preference, Path]] = {}
    for file in (folder / name).glob("*.npz"):
        # The name's numbers are rounded; these are not.
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        files.setdefault(facts["strength"], {})[tuple(facts["preference"])] = file
    if not files:
        raise error(Status.NOT_FOUND, f"{folder} has no points of {name}")
    if preferences is None:
        complete = set.intersection(*(set(files.get(strength, ())) for strength in strengths or files))
        preferences = sorted(complete, reverse=True)
    if strengths is None:
        strengths = [strength for strength in files if set(preferences) <= set(files[strength])]
    strengths = tuple(sorted(strengths))
    for strength in {*strengths, own}:
        missing = set(preferences) - set(files.get(strength, ())) if strength in strengths else set(preferences)
        if missing or not preferences:
            message = f"{folder / name} lacks {len(missing)} of {len(preferences)} preferences at strength {strength:g}"
            raise error(Status.NOT_FOUND, message)
    grid = [[Scores.load(files[strength][preference]) for preference in preferences] for strength in strengths]

    def mean(key: str) -> Floats:
        return numpy.asarray([[getattr(scores, key).mean(axis=1) for scores in row] for row in grid], float)

    return Measured(
        name=name,
        strengths=strengths,
        own=strengths.index(own),
        preferences=tuple(preferences),
        rewards=mean("rewards"),
        others=mean("others"),
        kl=mean("kl"),
        surprise=mean("surprise"),
        length=mean("length"),
        steps=_steps(folder / name / "neighbours.json", preferences),
        base=_base(folder / BASE),
    )


def _base(folder: Path) -> Floats | None:
    """Read the base's rewards: those of any preference, since it has the same answer to each."""
    for file in sorted(folder.glob("0_*.npz")):
        return numpy.asarray(Scores.load(file).rewards.mean(axis=1), float)
    return None


def _steps(file: Path, preferences: Sequence[Preference]) -> Floats:
    """Read what was measured between neighbours; nothing where that was on preferences that are not these."""
    if not file.exists():
        return numpy.empty(0)
    content = json.loads(file.read_text(encoding="utf-8"))
    there = {tuple(preference) for preference in content.get("preferences", ())}
    return numpy.asarray(content["token_kl"] if there <= set(preferences) else ())
