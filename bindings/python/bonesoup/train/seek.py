"""Chooses β by short runs, and the stretch of each vertex."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.eval.preferences import simplex
from bonesoup.rewards import Norm
from bonesoup.soup import Soup
from bonesoup.train import front
from bonesoup.train.project import Project
from bonesoup.train.soup import prepare, train

# The paper's, and Rewarded Soup, which is what β = 1 is.
BETAS = (0.6, 0.7, 0.8, 1.0)
# Of the project's steps; after each round the better half goes on while there are two.
FRACTIONS = (0.25, 0.5)
# θ₀ + s·(θ − θ₀): a front at several distances from the base, so that fronts can be compared at one KL.
STRETCHES = (0.5, 0.75, 1.0, 1.25)
# k = 1/(1 − a).
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A β after a round."""

    beta: float
    steps: int
    # Of the front as it is, at its own KL.
    kl: float
    # At the KL that all candidates of the round are compared at.
    hypervolume: float


def seek(
    project: Project, *, betas: Sequence[float] = BETAS, fractions: Sequence[float] = FRACTIONS, divisions: int = 4
) -> dict[str, Any]:
    """Train soups for each β on a fraction of the steps, keep the better half, again on more, and return the choice.

    Fronts are compared by hypervolume on the validation prompts, with one reference point and at one KL to the base:
    a β whose λ extrapolates takes longer steps, and would otherwise win by that alone.
    """
    if not betas or not fractions or not all(0 < share <= 1 for share in fractions):
        raise error(Status.INVALID_ARGUMENT, "seeking needs a β to try, and fractions of the budget between 0 and 1")
    norms = prepare(project)
    folder, left = project.output / "seek", list(betas)
    rounds: list[dict[str, Any]] = []
    for share in fractions:
        steps = max(2, round(share * project.training.steps))
        soups = {}
        for beta in left:
            matrix = {"rule": "identity"} if beta == 1 else {"rule": "bone", "beta": beta}
            run = project.changed(
                output=folder / f"steps-{steps}" / f"beta-{beta:g}", matrix=matrix, training={"steps": steps}
            )
            soups[beta] = train(run, norms=project.output / "rewards.json")
        found = compare(project, norms, soups, steps, divisions)
        rounds.append({"steps": steps, "candidates": [dataclasses.asdict(each) for each in found]})
        for each in found:
            print(
                f"  β {each.beta:g} after {steps} steps: hypervolume {each.hypervolume:.3f} at equal KL, "
                f"own KL {each.kl:.1f}",
                file=sys.stderr,
            )
        left = [each.beta for each in found[: math.ceil(len(found) / 2)]]
        if len(left) == 1:
            break
    result = {"beta": found[0].beta, "rounds": rounds, "prompts": "validation", "cost": _cost(project, folder)}
    (project.output / "seek.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def compare(
    project: Project, norms: Sequence[Norm], soups: Mapping[float, Path], steps: int, divisions: int = 4
) -> list[Candidate]:
    """Return the soups of several β, best first, by hypervolume at equal KL on the validation prompts.

    Parameters
    ----------
    soups
        Each β's `soup.json`.
    steps
        That each was trained for.
    divisions
        The front has all preferences whose parts are multiples of 1/divisions.
    """
    what = front.task(project, norms)
    preferences = simplex(len(project.objectives), divisions)
    measured = {}
    for beta, file in soups.items():
        with Soup.open(file) as soup:
            wanted = front.coefficients(soup, preferences)
        measured[beta] = [front.measure(file, what, stretch * wanted) for stretch in STRETCHES]
    lowest = numpy.min([point.rewards for fronts in measured.values() for each in fronts for point in each], axis=0)
    reference = [float(value) - 0.1 for value in lowest]
    curves = {
        beta: [
            (float(numpy.mean([point.kl for point in points])), front.volume(points, reference)) for points in fronts
        ]
        for beta, fronts in measured.items()
    }
    own = STRETCHES.index(1.0)
    # The least KL that a front has as it is: every other reaches it by being shortened.
    kl = min(curve[own][0] for curve in curves.values())
    found = [Candidate(beta, steps, curve[own][0], front.at_kl(curve, kl)) for beta, curve in curves.items()]
    return sorted(found, key=lambda each: -each.hypervolume)


def factors(project: Project) -> list[float]:
    """Choose each vertex's stretch k on the trained soup, by J = r_j − kl·KL on the validation prompts.

    The published code picks by the reward alone, which the longest stretch wins by leaving the base; here its KL is
    paid for as in training, and k = 1 (no stretch) is among the choices.
    """
    norms = prepare(project)
    what, file = front.task(project, norms), project.output / "soup.json"
    count = len(project.objectives)
    vertices = [tuple(float(i == j) for i in range(count)) for j in range(count)]
    chosen = []
    with Soup.open(file) as soup:
        # Without factors that the soup may have already.
        soup.set_extrapolation([1.0] * count)
        solved = front.coefficients(soup, vertices)
    for number in range(count):
        stretches = [1 / (1 - share) for share in SHARES]
        points = front.measure(file, what, numpy.outer(stretches, solved[number]))
        values = [point.rewards[number] - project.training.kl * point.kl for point in points]
        chosen.append(stretches[int(numpy.argmax(values))])
    return chosen


def _cost(project: Project, folder: Path) -> dict[str, float]:
    runs = [json.loads(file.read_text()) for file in folder.rglob("run.json")]
    whole = project.training.steps * len(project.objectives)
    return {
        "steps": sum(run["steps"] for run in runs),
        "share_of_one_soup": round(sum(run["steps"] for run in runs) / whole, 3),
        "seconds": round(sum(run["seconds"] for run in runs), 1),
        "cpu_seconds": round(sum(run["cpu_seconds"] for run in runs), 1),
    }
