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
from bonesoup.train.files import write_json
from bonesoup.train.project import Project
from bonesoup.train.soup import prepare, train

# The paper's, and Rewarded Soup, which is what β = 1 is.
BETAS = (0.6, 0.7, 0.8, 1.0)
# Of the project's steps; after each round the better half goes on while there are two.
FRACTIONS = (0.25, 0.5)
# θ₀ + s·(θ − θ₀): a front at several distances from the base, so that fronts can be compared at one KL.
STRETCHES = (0.0, 0.5, 0.75, 1.0, 1.25)
# Of the prompts, for the error of what is compared.
RESAMPLES = 200
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
    # The deviation of that over resampled prompts.
    error: float
    # In which share of the resamplings this β is the best.
    best: float


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
    trained: list[Path] = []
    for share in fractions:
        steps = max(2, round(share * project.training.steps))
        soups = {}
        for beta in left:
            matrix = {"rule": "identity"} if beta == 1 else {"rule": "bone", "beta": beta}
            run = project.changed(
                output=folder / f"steps-{steps}" / f"beta-{beta:g}", matrix=matrix, training={"steps": steps}
            )
            soups[beta] = train(run, norms=project.output / "rewards.json")
            trained.append(run.output)
        found = compare(project, norms, soups, steps, divisions)
        rounds.append({"steps": steps, "candidates": [dataclasses.asdict(each) for each in found]})
        for each in found:
            print(
                f"  β {each.beta:g} after {steps} steps: hypervolume {each.hypervolume:.3f} ± {each.error:.3f} at "
                f"equal KL, best in {each.best:.0%} of {RESAMPLES} resamplings of the prompts; own KL {each.kl:.1f}",
                file=sys.stderr,
            )
        left = [each.beta for each in found[: math.ceil(len(found) / 2)]]
        if len(left) == 1:
            break
    result = {"beta": found[0].beta, "rounds": rounds, "prompts": "validation", "cost": _cost(project, trained)}
    write_json(project.output / "seek.json", result)
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
        # At the base itself all preferences are one point.
        measured[beta] = [
            front.measure(file, what, stretch * (wanted if stretch else wanted[:1])) for stretch in STRETCHES
        ]
    lowest = numpy.min([point.rewards for fronts in measured.values() for each in fronts for point in each], axis=0)
    reference = [float(value) - 0.1 for value in lowest]
    own, volumes = _at_equal_kl(measured, reference)
    random, count = numpy.random.default_rng(0), len(what.prompts)
    drawn = []
    for _ in range(RESAMPLES):
        prompts = random.integers(count, size=count)
        again = {
            beta: [[point.among(prompts) for point in points] for points in fronts] for beta, fronts in measured.items()
        }
        drawn.append(list(_at_equal_kl(again, reference)[1].values()))
    errors, winners = numpy.std(drawn, axis=0), numpy.argmax(drawn, axis=1)
    found = [
        Candidate(beta, steps, own[beta], volumes[beta], float(errors[number]), float(numpy.mean(winners == number)))
        for number, beta in enumerate(measured)
    ]
    return sorted(found, key=lambda each: -each.hypervolume)


def _at_equal_kl(
    measured: Mapping[float, Sequence[Sequence[front.Point]]], reference: Sequence[float]
) -> tuple[dict[float, float], dict[float, float]]:
    """Return each front's own KL, and its hypervolume at the least of these; `measured` is [β][stretch][preference]."""
    curves = {
        beta: [
            (float(numpy.mean([point.kl for point in points])), front.volume(points, reference)) for points in fronts
        ]
        for beta, fronts in measured.items()
    }
    own = {beta: curve[STRETCHES.index(1.0)][0] for beta, curve in curves.items()}
    # Every other reaches the least KL by being shortened.
    kl = min(own.values())
    return own, {beta: front.at_kl(curve, kl) for beta, curve in curves.items()}


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
        # [stretches][prompts].
        values = numpy.stack([point.scores[:, number] - project.training.kl * point.divergences for point in points])
        best = int(values.mean(axis=1).argmax())
        gain = values[best] - values[0]
        print(
            f"  {project.objectives[number].name}: k {stretches[best]:.3g} gives J {gain.mean():+.3f} "
            f"± {gain.std() / math.sqrt(len(gain)):.3f} over k 1",
            file=sys.stderr,
        )
        chosen.append(stretches[best])
    return chosen


def _cost(project: Project, soups: Sequence[Path]) -> dict[str, float]:
    runs = [json.loads(file.read_text()) for soup in soups for file in soup.glob("runs/*/run.json")]
    whole = project.training.steps * len(project.objectives)
    return {
        "steps": sum(run["steps"] for run in runs),
        "share_of_one_soup": round(sum(run["steps"] for run in runs) / whole, 3),
        "seconds": round(sum(run["seconds"] for run in runs), 1),
        "cpu_seconds": round(sum(run["cpu_seconds"] for run in runs), 1),
    }
