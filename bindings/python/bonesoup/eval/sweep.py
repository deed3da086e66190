"""Measuring methods over preferences and strengths, point by point, so that it can be broken off and gone on with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy

from bonesoup.eval.facts import write
from bonesoup.eval.likelihood import Given, log_probabilities
from bonesoup.eval.methods.method import Method, Point
from bonesoup.eval.preferences import Preference, neighbours
from bonesoup.eval.sampling import Sample
from bonesoup.eval.scores import Scores, divergence
from bonesoup.eval.task import Task
from bonesoup.soup import Soup

# Texts kept of each point, for the report.
_SHOWN = 3
Progress = Callable[[str, int, int], None]


def place(folder: Path, method: str, point: Point) -> Path:
    """Return the file of a point."""
    parts = "-".join(f"{part:.4f}" for part in point.preference)
    return folder / method / f"{point.strength:g}_{parts}.npz"


def sweep(
    methods: Iterable[Method],
    task: Task,
    grid: Sequence[Preference],
    folder: Path,
    *,
    near: int = 0,
    steps_on: Sequence[Preference] | None = None,
    shard: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
) -> None:
    """Measure what is not in the folder yet.

    Parameters
    ----------
    near, steps_on
        Prompts by which the KL between neighbours on a grid is measured, for methods that are single models; 0: none.
    shard
        (i, n): every n-th point from the i-th on, so that n workers share the work.
    """
    for method in methods:
        (folder / method.name).mkdir(parents=True, exist_ok=True)
        points = [
            Point(preference, strength)
            # Its own front first: what matters most is there soonest.
            for strength in sorted(method.strengths, key=lambda strength: strength != method.own)
            for preference in method.preferences(grid)
        ][shard[0] :: shard[1]]
        missing = [point for point in points if not place(folder, method.name, point).exists()]
        for done, (number, samples) in enumerate(method.sample(missing, task) if missing else (), 1):
            measured(method, task, samples, missing[number], place(folder, method.name, missing[number]))
            if progress is not None:
                progress(method.name, done, len(missing))
        if near and shard[0] == 0:
            _steps(method, task, steps_on or grid, folder / method.name, near)


def measured(method: Method, task: Task, samples: Sequence[Sample], point: Point, file: Path) -> None:
    """Score the texts of a point and write them."""
    texts = task.texts(method.soup, samples)
    base = _base(method.soup, task, samples)
    kl = [
        divergence(numpy.asarray(one.logprobs), under) if one.kl is None else one.kl
        for one, under in zip(samples, base)
    ]
    shape = (len(task.prompts), task.samples)
    scores = Scores(
        rewards=task.rewards(texts, task.objectives).reshape(*shape, -1),
        others=task.rewards(texts, task.others).reshape(*shape, len(task.others)),
        kl=numpy.asarray(kl).reshape(shape),
        surprise=numpy.asarray([-under.sum() for under in base]).reshape(shape),
        length=numpy.asarray([len(one.tokens) for one in samples]).reshape(shape),
    )
    shown = [[prompt, texts[number * task.samples]] for number, prompt in enumerate(task.prompts[:_SHOWN])]
    facts = {**point._asdict(), "texts": shown}
    write(file.with_suffix(".json"), json.dumps(facts, ensure_ascii=False) + "\n")
    scores.save(file)


def _base(
    soup: Soup, task: Task, samples: Sequence[Sample]
) -> list[numpy.ndarray[tuple[int], numpy.dtype[numpy.float32]]]:
    prompts = [soup.tokenize(prompt) for prompt in task.prompts for _ in range(task.samples)]
    with soup.blend(coefficients=[0.0] * len(soup.backbones)) as blend:
        given = (Given(blend, prompt, one.tokens) for prompt, one in zip(prompts, samples))
        return list(log_probabilities(given, soup.info.vocabulary))


def _steps(method: Method, task: Task, grid: Sequence[Preference], folder: Path, near: int) -> None:
    """Write the mean KL per token from each point of the grid to its neighbours, by samples of the former."""
    file = folder / "neighbours.json"
    about = {"preferences": [list(preference) for preference in grid], "prompts": near}
    if file.exists():
        there = json.loads(file.read_text(encoding="utf-8"))
        if all(there.get(key) == value for key, value in about.items()):
            return
    if not set(grid) <= set(method.preferences(grid)):
        return
    if method.blend(Point(grid[0], method.own)) is None:
        return
    few = dataclasses.replace(task, prompts=task.prompts[:near], rows=task.rows[:near], samples=1)
    prompts = [method.soup.tokenize(prompt) for prompt in few.prompts]
    points = [Point(preference, method.own) for preference in grid]
    texts = dict(method.sample(points, few))
    pairs = neighbours(grid)
    means = []
    for first, second in pairs:
        blend = method.blend(points[second])
        assert blend is not None
        given = (Given(blend, prompt, one.tokens) for prompt, one in zip(prompts, texts[first]))
        there = log_probabilities(given, method.soup.info.vocabulary)
        total = sum(divergence(numpy.asarray(one.logprobs), under) for one, under in zip(texts[first], there))
        means.append(total / sum(len(one.tokens) for one in texts[first]))
    write(file, json.dumps({**about, "pairs": pairs, "token_kl": means}) + "\n")
