"""A soup's front on the validation prompts, as far as choices need it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.eval.likelihood import Given, log_probabilities
from bonesoup.eval.measures import hypervolume
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Row, Sampling, sample
from bonesoup.eval.scores import divergence
from bonesoup.eval.task import Objective, Task
from bonesoup.rewards import Norm
from bonesoup.soup import Soup
from bonesoup.train.project import Project

Floats = numpy.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """What a soup writes at some coefficients, a text per prompt."""

    # Normalised rewards: [prompts][objectives].
    scores: Floats
    # Nats over the base: [prompts].
    divergences: Floats

    @property
    def rewards(self) -> tuple[float, ...]:
        """Mean normalised reward per objective."""
        return tuple(float(value) for value in self.scores.mean(axis=0))

    @property
    def kl(self) -> float:
        """Mean nats over the base, per completion."""
        return float(self.divergences.mean())

    def among(self, prompts: Floats) -> Point:
        """Return it over some of the prompts, by number; one may come several times."""
        return Point(self.scores[prompts], self.divergences[prompts])


def task(project: Project, norms: Sequence[Norm], part: str = "validation", seed: int = 1) -> Task:
    """Return what is measured: the project's rewards over the prompts of a part."""
    prompts, wish = project.read_prompts(part), project.training
    objectives = tuple(
        Objective(each.name, reward, norm.mean, norm.std, norm.clip)
        for each, reward, norm in zip(project.objectives, project.rewards(), norms)
    )
    how = Sampling(max_tokens=wish.max_tokens, temperature=wish.temperature)
    return Task(prompts.texts, prompts.rows, objectives, sampling=how, seed=seed)


def coefficients(soup: Soup, preferences: Sequence[Preference]) -> Floats:
    """Return the solution λ(μ) of Bᵀλ = μ for each preference: [preferences][backbones]."""
    names = [objective.name for objective in soup.objectives]
    solved = [soup.solve(preference=dict(zip(names, preference))).coefficients for preference in preferences]
    return numpy.asarray(solved, float)


def measure(file: Path, what: Task, wanted: Floats) -> list[Point]:
    """Write a text per prompt at each row of coefficients, and return their rewards and KL."""
    points = []
    with Soup.open(file, threads=1) as soup:
        base = soup.blend(coefficients=[0.0] * wanted.shape[1])
        prompts = [list(soup.tokenize(prompt)) for prompt in what.prompts]
        for row in wanted:
            blend = soup.blend(coefficients=[float(value) for value in row])
            rows = [Row(blend, prompt, what.seed_of(number, 0)) for number, prompt in enumerate(prompts)]
            samples = dict(sample(rows, what.sampling))
            ordered = [samples[number] for number in range(len(rows))]
            given = [Given(base, prompt, one.tokens) for prompt, one in zip(prompts, ordered)]
            under_base = log_probabilities(given, soup.info.vocabulary)
            kl = [divergence(numpy.asarray(one.logprobs), other) for one, other in zip(ordered, under_base)]
            rewards = what.rewards(what.texts(soup, ordered), what.objectives)
            points.append(Point(numpy.asarray(rewards, float), numpy.asarray(kl)))
    return points


def volume(points: Sequence[Point], reference: Sequence[float]) -> float:
    """Return the hypervolume of a front."""
    return hypervolume(numpy.asarray([point.rewards for point in points]), reference)


def at_kl(curve: Sequence[tuple[float, float]], kl: float) -> float:
    """Read a curve of (KL, value), one for each stretch of a front from none on, at a KL within it.

    Linear over √KL: near the base KL grows with the square of the stretch, rewards with the stretch itself.
    """
    ordered = sorted(curve)
    if kl > ordered[-1][0]:
        raise error(Status.INTERNAL, f"KL {kl:g} is beyond what was measured, {ordered[-1][0]:g}")
    roots = numpy.sqrt(numpy.maximum([kl, *(each[0] for each in ordered)], 0))
    return float(numpy.interp(roots[0], roots[1:], [each[1] for each in ordered]))
