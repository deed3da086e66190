"""What `bonesoup eval` does."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.eval import evaluation, facts
from bonesoup.eval.collect import BASE
from bonesoup.eval.front import manifest, store
from bonesoup.eval.methods import Blended, Method, make, parts
from bonesoup.eval.preferences import Preference, read
from bonesoup.eval.solving import unguarded
from bonesoup.eval.sweep import sweep
from bonesoup.eval.task import Task
from bonesoup.soup import Soup
from bonesoup.train.project import Project


def evaluate(options: argparse.Namespace, shard: tuple[int, int]) -> dict[str, Any] | None:
    """Measure what is missing in the folder, then compare and write; a shard of many only measures."""
    folder = Path(options.out)
    if not options.no_report:
        manifest(Path(options.soup))  # now, and not only when all is measured
    project = Project.load(options.project)
    split = evaluation.split_of(project, options.prompts)
    if split == "train" and options.prompts in (None, "validation", "test"):
        asked = options.prompts or "test"
        print(f"{project.path} names no {asked} prompts; these are those that it was trained on", file=sys.stderr)
    with Soup.open(options.soup, weights=options.weights, threads=options.threads) as soup:
        task, grid, methods = _plan(options, project, unguarded(soup))
        _check(options, project, soup, task, methods)
        if options.workers > 1:
            from bonesoup.eval.cluster import share

            share(options, options.workers)
        if shard[0] == 0:
            # Strength 0 is the same for every preference and method, so that one point is enough.
            vertex = tuple(float(not place) for place in range(len(task.objectives)))
            sweep([Blended(BASE, soup, [0.0])], task, [vertex], folder)
        points = evaluation.everywhere(methods, grid)
        sweep(methods, task, points, folder, near=options.near, shard=shard, progress=_show, steps_on=grid)
        if shard[1] > 1:
            return None
        result = evaluation.evaluate(folder, methods, task, grid, beta=project.training.kl, resamples=options.resamples)
        result["soup"], result["project"], result["split"] = str(options.soup), project.name, split
        evaluation.write(result, folder)
        if not options.no_report:
            from bonesoup.eval.report import write

            write(result, folder)
            store(Path(options.soup), result)
    return result


def _check(options: argparse.Namespace, project: Project, soup: Soup, task: Task, methods: Sequence[Method]) -> None:
    """See that what the folder has was measured with the same, of every method that is asked for."""
    folder, contents = Path(options.out), facts.Contents()
    facts.same_task(folder, {**facts.of_task(task, project, contents), "weights": soup.info.weights})
    own = contents.soup(Path(options.soup))
    facts.same_method(folder / BASE, {"method": BASE, "soups": [own]})
    for method, text in zip(methods, ["soup", *options.against]):
        soups, argument = parts(text)
        about = {
            "method": text.partition(":")[0],
            "argument": argument,
            "soups": [contents.soup(each) for each in soups] or [own],
            "kind": options.kind if isinstance(method, Blended) else "",
        }
        facts.same_method(folder / method.name, about)


def _plan(options: argparse.Namespace, project: Project, soup: Soup) -> tuple[Task, list[Preference], list[Method]]:
    task = evaluation.task_of(
        project,
        soup,
        options.prompts,
        count=options.count,
        samples=options.samples,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        batch=options.batch or 0,
        seed=options.seed,
        also=[name for name in options.also.split(",") if name],
    )
    grid = read(options.preferences, [objective.name for objective in soup.objectives])
    strengths = sorted({1.0, *(_strength(part) for part in options.strengths.split(","))})
    methods: list[Method] = [Blended("soup", soup, strengths)]
    methods += [make(text, soup, strengths) for text in options.against]
    for method in methods:
        if isinstance(method, Blended):
            method.kind = options.kind
    names = [BASE, *(method.name for method in methods)]
    for name in names:
        if names.count(name) > 1:
            raise error(Status.INVALID_ARGUMENT, f"two methods are called {name}, which is where their points are kept")
    return task, grid, methods


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise error(Status.INVALID_ARGUMENT, f"--strengths has “{text}”, which is no number of 0 or more")
    return value


def _show(method: str, done: int, total: int) -> None:
    if sys.stderr.isatty() or done == total:
        print(f"\r{method}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
