"""Fronts side by side: each method as it is, and at equal KL to the base, with intervals over prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from bonesoup.eval import measures
from bonesoup.eval.collect import Measured

Floats = numpy.ndarray[Any, Any]

# Largest and nearest of many points, and counts of them: resampled prompts add noise, and noise makes these larger, so
# that their bootstrap lies beside the value and not around it.
WITHOUT = frozenset({"continuity", "sparsity", "spacing", "nondominated"})


@dataclasses.dataclass(frozen=True)
class Interval:
    """A value, and the bounds that hold 95 % of its bootstrap."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Front:
    """One front per draw of the bootstrap, the first of all prompts: [draws][preferences][…]."""

    preferences: Floats
    rewards: Floats
    kl: Floats

    def measures(self, reference: Sequence[float], beta: float) -> dict[str, Floats]:
        """Return each measure over the draws."""
        wanted = (self.rewards * self.preferences).sum(axis=2)
        values: dict[str, Floats] = {
            "mu_r": wanted.mean(axis=1),
            "kl": self.kl.mean(axis=1),
            "j": (wanted - beta * self.kl).mean(axis=1),
        }
        fronts = list(self.rewards)
        values["hypervolume"] = numpy.asarray([measures.hypervolume(front, reference) for front in fronts])
        values["controllability"] = numpy.asarray([measures.controllability(self.preferences, f) for f in fronts])
        values["continuity"] = numpy.asarray([measures.continuity(self.preferences, front) for front in fronts])
        values["sparsity"] = numpy.asarray([measures.sparsity(front) for front in fronts])
        values["spacing"] = numpy.asarray([measures.spacing(front) for front in fronts])
        values["nondominated"] = numpy.asarray([float(measures.nondominated(front).sum()) for front in fronts])
        return values


def draws(prompts: int, count: int, seed: int = 0) -> Floats:
    """Return weights of prompts, [1 + count][prompts]: all alike first, then bootstrap resamples, each summing to 1."""
    luck = numpy.random.default_rng(seed)
    resampled = luck.multinomial(prompts, [1 / prompts] * prompts, size=count) / prompts
    return numpy.vstack([numpy.full((1, prompts), 1 / prompts), resampled])


def own_front(measured: Measured, weights: Floats) -> Front:
    """Return a method's front at its own strength."""
    rewards, kl = measured.rewards[measured.own], measured.kl[measured.own]
    return Front(
        numpy.asarray(measured.preferences),
        numpy.einsum("bp,mpn->bmn", weights, rewards),
        numpy.einsum("bp,mp->bm", weights, kl),
    )


def front_at(measured: Measured, weights: Floats, target: Floats) -> tuple[Front, float]:
    """Return a method's front at the KL of `target` ([draws][preferences]), between its strengths, and the share of
    points where no strength comes so far: there it is its strongest.

    Between strengths, rewards are linear in √KL: near the base KL grows with the square of a step, rewards with the
    step. Strength 0 is the base, whose KL is 0 and whose rewards are those measured, or by their norms 0.
    """
    rewards = numpy.einsum("bp,smpn->bsmn", weights, measured.rewards)
    kl = numpy.einsum("bp,smp->bsm", weights, measured.kl)
    if measured.strengths[0] > 0 and kl[0, 0].min() > 1e-9:
        start = numpy.zeros_like(rewards[:, :1])
        if measured.base is not None:
            start = start + (weights @ measured.base)[:, None, None, :]
        rewards = numpy.concatenate([start, rewards], axis=1)
        kl = numpy.concatenate([numpy.zeros_like(kl[:, :1]), kl], axis=1)
    # Noise must not bend the path back.
    kl = numpy.maximum.accumulate(numpy.maximum(kl, 0.0), axis=1)
    step, wanted = numpy.sqrt(kl), numpy.sqrt(numpy.maximum(target, 0.0))
    count, _, points, objectives = rewards.shape
    found = numpy.empty((count, points, objectives))
    for draw in range(count):
        for point in range(points):
            for objective in range(objectives):
                path = rewards[draw, :, point, objective]
                found[draw, point, objective] = numpy.interp(wanted[draw, point], step[draw, :, point], path)
    reached = numpy.minimum(target, kl[:, -1])
    front = Front(numpy.asarray(measured.preferences), found, reached)
    return front, float((target[0] > kl[0, -1] * (1 + 1e-9)).mean())


def interval(values: Floats) -> Interval:
    """Return the first value, of all prompts, with the interval of the rest."""
    low, high = numpy.quantile(values[1:], [0.025, 0.975]) if len(values) > 1 else (values[0], values[0])
    return Interval(float(values[0]), float(low), float(high))


def reference_point(fronts: Sequence[Front]) -> list[float]:
    """Return the point below all fronts by a tenth of their range, or the base (0) where that is lower."""
    points = numpy.concatenate([front.rewards[0] for front in fronts])
    low, high = points.min(axis=0), points.max(axis=0)
    return [float(value) for value in numpy.minimum(low - 0.1 * (high - low), 0.0)]


# Of a method: "own", "equal_kl", and "first" (what the first one has at that KL); in each the measures, over the draws.
Draws = dict[str, dict[str, Floats]]


def measure(
    methods: Sequence[Measured], weights: Floats, beta: float, reference: Sequence[float] | None = None
) -> tuple[dict[str, Draws], dict[str, float], list[float]]:
    """Measure methods as they are and at the KL of the first one, preference by preference.

    Where a method does not come that far, both are measured at the most that it has.

    Returns
    -------
        The draws by method; the share of points that don't come to that KL, by method; the reference point.
    """
    first = methods[0]
    own = {method.name: own_front(method, weights) for method in methods}
    equal = {method.name: front_at(method, weights, own[first.name].kl) for method in methods[1:]}
    fronts = {first.name: own[first.name], **{name: front for name, (front, _) in equal.items()}}
    chosen = list(reference or reference_point([*own.values(), *fronts.values()]))
    found = {}
    for name, front in fronts.items():
        short = name in equal and equal[name][1] > 0
        beside = front_at(first, weights, front.kl)[0] if short else own[first.name]
        kinds = {"own": own[name], "equal_kl": front, "first": beside}
        found[name] = {kind: each.measures(chosen, beta) for kind, each in kinds.items()}
    return found, {first.name: 0.0, **{name: beyond for name, (_, beyond) in equal.items()}}, chosen


def summary(found: Mapping[str, Draws], beyond: Mapping[str, float]) -> dict[str, Any]:
    """Return the intervals of every method, and of the first one's lead over it by the same draws."""
    first = next(iter(found))
    made: dict[str, Any] = {}
    for name, kinds in found.items():
        made[name] = {"out_of_reach": beyond[name]}
        for key, ours in (("own", found[first]["own"]), ("equal_kl", kinds["first"])):
            made[name][key] = intervals(kinds[key])
            if name != first:
                lead = {measure: ours[measure] - values for measure, values in kinds[key].items()}
                made[name].setdefault("lead", {})[key] = intervals(lead)
    return made


def compare(
    methods: Sequence[Measured], *, beta: float, resamples: int = 1000, reference: Sequence[float] | None = None
) -> dict[str, Any]:
    """Compare methods with the first one, on prompts that all share.

    Returns
    -------
        `reference`; for each method `own` and `equal_kl` (at the first one's KL at each preference): intervals of every
        measure; and `lead`, the first one's over it in both, by the same draws of prompts.
    """
    weights = draws(methods[0].rewards.shape[2], resamples)
    found, beyond, chosen = measure(methods, weights, beta, reference)
    return {"reference": chosen, "methods": summary(found, beyond)}


def intervals(values: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """Return the interval of each, as JSON has it; `WITHOUT` have a value only."""
    return {
        name: {"value": float(draws[0])} if name in WITHOUT else dataclasses.asdict(interval(draws))
        for name, draws in values.items()
    }
