"""What the base's own samples say about the objectives, before anything is trained."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from bonesoup.rewards import Norm
from bonesoup.train.files import write_json
from bonesoup.train.project import Project
from bonesoup.train.sampling import Samples

# A number counts as other than zero where it is so many standard errors away.
_ERRORS = 2.0
# Objectives that nearly say the same.
_SAME = 0.8
# The share of the equal mix's variance above which an objective dominates it; of n it would have 1/n.
_DOMINANT = 0.6
# Where so large a share of the samples has one and the same score, a reward says little.
_CONSTANT = 0.9


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything is of normalised rewards and within prompts: two completions of the same prompt are compared, so that
    easy and hard prompts don't pass for objectives that agree."""

    names: tuple[str, ...]
    norms: tuple[Norm, ...]
    # [objective][objective].
    correlation: tuple[tuple[float, ...], ...]
    # Of a correlation of 0.
    error: float
    # [backbone][objective]: the covariance of r_j with the backbone's mix, which is how fast r_j rises at first when
    # the mix is climbed (the natural gradient's direction; arXiv 2602.06869), in deviations.
    gains: tuple[tuple[float, ...], ...]
    # Of each.
    gain_errors: tuple[tuple[float, ...], ...]
    backbones: tuple[str, ...]
    sentences: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as `report.json` has it."""
        content = dataclasses.asdict(self)
        content["norms"] = {name: norm.as_json() for name, norm in zip(self.names, self.norms)}
        return content

    def __str__(self) -> str:
        width = max(9, *(len(name) for name in (*self.names, *self.backbones))) + 1
        lines = ["correlation on the base's samples".ljust(40) + f"± {self.error:.2f}"]
        lines.append("".ljust(width) + "".join(name.rjust(width) for name in self.names))
        for name, row in zip(self.names, self.correlation):
            lines.append(name.ljust(width) + "".join(f"{value:+.2f}".rjust(width) for value in row))
        lines.append("first-order gain of each objective under each backbone's mix")
        for name, row in zip(self.backbones, self.gains):
            lines.append(name.ljust(width) + "".join(f"{value:+.2f}".rjust(width) for value in row))
        return "\n".join([*lines, *(f"- {sentence}" for sentence in self.sentences)])


def make(project: Project, norms: Sequence[Norm], first: Samples, second: Samples) -> Report:
    """Make it from two sets of completions of the same prompts."""
    rewards = project.rewards()
    raw = list(zip(first.scores(rewards), second.scores(rewards)))
    # Differences of two samples of a prompt have twice the variance within prompts.
    within = [
        [(a - b) / math.sqrt(2) for a, b in zip(norm(one), norm(other))] for norm, (one, other) in zip(norms, raw)
    ]
    covariance = [[statistics.fmean(a * b for a, b in zip(x, y)) for y in within] for x in within]
    deviations = [math.sqrt(covariance[j][j]) or 1.0 for j in range(len(within))]
    correlation = tuple(
        tuple(value / (deviations[i] * deviations[j]) for j, value in enumerate(row))
        for i, row in enumerate(covariance)
    )
    mixed = [
        [sum(share * value for share, value in zip(row, sample)) for sample in zip(*within)] for row in project.rows
    ]
    products = [[[a * b for a, b in zip(mix, each)] for each in within] for mix in mixed]
    gains = tuple(tuple(statistics.fmean(values) for values in row) for row in products)
    errors = tuple(tuple(statistics.pstdev(values) / math.sqrt(len(values)) for values in row) for row in products)
    names = tuple(objective.name for objective in project.objectives)
    report = Report(
        names, tuple(norms), correlation, 1 / math.sqrt(len(first.completions)), gains, errors, project.backbones, ()
    )
    constant = [_most_common_share(one + other) for one, other in raw]
    return dataclasses.replace(report, sentences=tuple(_sentences(report, covariance, constant)))


def write(project: Project, report: Report) -> None:
    """Write `report.json` into the project's output."""
    project.output.mkdir(parents=True, exist_ok=True)
    write_json(project.output / "report.json", report.as_json())


def _sentences(report: Report, covariance: Sequence[Sequence[float]], constant: Sequence[float]) -> list[str]:
    names, found = report.names, []
    competing = False
    for i, one in enumerate(names):
        for j in range(i):
            value = report.correlation[i][j]
            if value < -_ERRORS * report.error:
                competing = True
                found.append(f"{names[j]} and {one} compete (correlation {value:+.2f})")
            elif value > _SAME:
                found.append(f"{names[j]} and {one} ask for nearly the same ({value:+.2f}): one of them is enough")
    total = sum(sum(row) for row in covariance)
    for name, row, share in zip(names, covariance, constant):
        part = sum(row) / total if total > 0 else 0.0
        if len(names) > 1 and part > _DOMINANT:
            found.append(f"{name} dominates: it makes {part:.0%} of what the equal mix of all varies by")
        if share > _CONSTANT:
            found.append(f"{name} is the same for {share:.0%} of the samples: there is little to learn from")
    falling = False
    for backbone, gains, errors in zip(report.backbones, report.gains, report.gain_errors):
        for name, gain, deviation in zip(names, gains, errors):
            if gain < -_ERRORS * deviation:
                falling = True
                found.append(f"{name} falls at first under the mix of backbone {backbone} ({gain:+.2f})")
    if len(names) > 1 and not competing and not falling:
        found.append(
            "no objectives compete on the base's samples: one model trained on all may do, and a soup only pays "
            "where they compete later, at higher rewards"
        )
    return found


def _most_common_share(scores: Sequence[float]) -> float:
    return scores.count(statistics.mode(scores)) / len(scores)
