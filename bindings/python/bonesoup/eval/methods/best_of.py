"""Best of N: no training at all, N texts of the base for each that is kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy

from bonesoup.blend import Blend
from bonesoup.eval.methods.blends import Blended
from bonesoup.eval.methods.method import Point
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Sample
from bonesoup.eval.task import Task
from bonesoup.soup import Soup


class BestOf:
    """Of N texts of the base, the one with the highest μ·r. Its strengths are N.

    KL to the base is ln N − (N−1)/N nats per text (an upper bound; Beirami et al., arXiv 2401.01879).
    """

    description = "of N texts of the base, the one with the highest μ·r"

    def __init__(self, name: str, soup: Soup, counts: Sequence[int] = (1, 2, 4, 8, 16), own: int = 4) -> None:
        self.name, self.soup, self.own = name, soup, float(own)
        self.strengths: Sequence[float] = sorted({float(count) for count in counts} | {self.own})

    def preferences(self, grid: Sequence[Preference]) -> list[Preference]:
        """All of them."""
        return list(grid)

    def blend(self, point: Point) -> Blend | None:
        """No single model."""
        return None

    def sample(self, points: Sequence[Point], task: Task) -> Iterator[tuple[int, list[Sample]]]:
        """Draw from the base once, and choose for each point."""
        # Whichever points are asked for, so that a broken-off run goes on with the same texts.
        most = int(max(self.strengths)) * task.samples
        wide = dataclasses.replace(task, samples=most)
        base = Blended("base", self.soup)
        nothing = Point(points[0].preference, 0.0)
        [(_, pool)] = base.sample([nothing], wide)
        rewards = wide.rewards(wide.texts(self.soup, pool), wide.objectives)
        for number, point in enumerate(points):
            count = int(point.strength)
            wanted = (rewards @ numpy.asarray(point.preference)).reshape(len(task.prompts), most)
            kl = math.log(count) - (count - 1) / count
            chosen = []
            for prompt, values in enumerate(wanted):
                groups = values[: task.samples * count].reshape(task.samples, count)
                for group, best in enumerate(groups.argmax(axis=1)):
                    one = pool[prompt * most + group * count + int(best)]
                    chosen.append(dataclasses.replace(one, kl=kl))
            yield number, chosen
