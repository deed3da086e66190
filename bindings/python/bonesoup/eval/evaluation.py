"""A whole evaluation: from a project's rewards and prompts to a result that JSON holds."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.errors import Status, error
from bonesoup.eval.collect import Measured, collect
from bonesoup.eval.comparison import compare
from bonesoup.eval.methods import Method
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Sampling
from bonesoup.eval.task import Objective, Task
from bonesoup.rewards import load
from bonesoup.soup import Soup
from bonesoup.train.project import Project
from bonesoup.train.prompts import Prompts, read


def task_of(
    project: Project,
    soup: Soup,
    prompts: str | None,
    *,
    count: int | None = None,
    samples: int = 1,
    max_tokens: int | None = None,
    temperature: float = 1.0,
    batch: int = 0,
    seed: int = 1,
    also: Sequence[str] = (),
) -> Task:
    """Return what is measured: the project's rewards on the soup's scale, its test prompts or those of a file.

    `also` names rewards that the project does not ask for: side effects.
    """
    found = project.read_prompts(prompts or "test") if prompts in (None, "validation", "test") else read(Path(prompts))
    chosen = Prompts(found.texts[:count], found.rows[:count])
    return Task(
        prompts=chosen.texts,
        rows=chosen.rows,
        objectives=objectives_of(project, soup),
        others=_others(also, project),
        samples=samples,
        sampling=Sampling(max_tokens or project.training.max_tokens, temperature, batch),
        seed=seed,
    )


def split_of(project: Project, prompts: str | None) -> str:
    """Return which prompts those are: "train", "validation", "test", or the name of a file that is none of them."""
    files = {"validation": project.prompts.validation, "test": project.prompts.test}
    if prompts is None or prompts in files:
        return prompts or "test" if files[prompts or "test"] is not None else "train"
    place = Path(prompts).resolve()
    for name, file in {**files, "train": project.prompts.train}.items():
        if file is not None and file.resolve() == place:
            return name
    return Path(prompts).name


def objectives_of(project: Project, soup: Soup) -> tuple[Objective, ...]:
    """Return the project's rewards in the soup's order, on the scale that the soup stores."""
    by_name = {each.name: (each, reward) for each, reward in zip(project.objectives, project.rewards())}
    made = []
    for objective in soup.objectives:
        if objective.name not in by_name:
            message = f"{project.path} has no objective {objective.name}, which the soup has"
            raise error(Status.MISMATCH, message)
        each, reward = by_name[objective.name]
        mean, std = (objective.norm.mean, objective.norm.std) if objective.norm else (0.0, 1.0)
        made.append(Objective(objective.name, reward, mean, std, each.clip))
    return tuple(made)


def _others(also: Sequence[str], project: Project) -> tuple[Objective, ...]:
    asked = {each.reward for each in project.objectives}
    return tuple(Objective(name, load({"reward": name}, project.path.parent)) for name in also if name not in asked)


def evaluate(
    folder: Path,
    methods: Sequence[Method],
    task: Task,
    grid: Sequence[Preference],
    *,
    beta: float,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Return everything that the points in a folder say about the methods; the first is what the others are beside."""
    wanted = everywhere(methods, grid)
    found = [
        collect(folder, method.name, method.own, method.preferences(wanted), method.strengths) for method in methods
    ]
    whole = [measured.only(grid) for measured in found if set(grid) <= set(measured.preferences)]
    result = compare(whole, beta=beta, resamples=resamples)
    few = [measured for measured in found if not set(grid) <= set(measured.preferences)]
    for oracle in few:
        shared = [measured.only(oracle.preferences) for measured in found if _has(measured, oracle.preferences)]
        result.setdefault("oracles", {})[oracle.name] = {
            "preferences": [list(preference) for preference in oracle.preferences],
            **compare(shared, beta=beta, resamples=resamples, reference=result["reference"]),
        }
    about = {method.name: method for method in methods}
    for measured in found:
        place = result["methods"].setdefault(measured.name, {})
        place["description"] = about[measured.name].description
        place["points"] = points(measured, task)
        if len(measured.steps):
            place["neighbour_token_kl"] = {"mean": float(measured.steps.mean()), "max": float(measured.steps.max())}
    base = found[0].base
    result["base"] = [0.0] * len(task.objectives) if base is None else base.mean(axis=0).tolist()
    result["objectives"] = [objective.name for objective in task.objectives]
    result["others"] = [objective.name for objective in task.others]
    result["beta_kl"] = beta
    result["texts"] = {"prompts": len(task.prompts), "samples": task.samples, **dataclasses.asdict(task.sampling)}
    result["grid"] = [list(preference) for preference in grid]
    return result


def everywhere(methods: Sequence[Method], grid: Sequence[Preference]) -> list[Preference]:
    """Return the grid, and where else a method has an answer of its own, so that others can be put beside it."""
    wanted = list(grid)
    for method in methods:
        wanted += [one for one in method.preferences(grid) if one not in wanted]
    return wanted


def _has(measured: Measured, preferences: Sequence[Preference]) -> bool:
    return set(preferences) <= set(measured.preferences)


def points(measured: Measured, task: Task) -> list[dict[str, Any]]:
    """Return means and standard errors of every point of a method."""
    made = []
    for row, strength in enumerate(measured.strengths):
        for column, preference in enumerate(measured.preferences):
            rewards = measured.rewards[row, column]
            length, surprise = measured.length[row, column], measured.surprise[row, column]
            kl = measured.kl[row, column]
            made.append(
                {
                    "preference": list(preference),
                    "strength": strength,
                    "own": row == measured.own,
                    "rewards": rewards.mean(axis=0).tolist(),
                    "errors": (rewards.std(axis=0) / numpy.sqrt(len(rewards))).tolist(),
                    "mu_r": float(rewards.mean(axis=0) @ numpy.asarray(preference)),
                    "kl": float(kl.mean()),
                    "token_kl": float(kl.mean() / length.mean()),
                    "length": float(length.mean()),
                    "base_perplexity": float(numpy.exp(surprise.sum() / length.sum())),
                    "others": measured.others[row, column].mean(axis=0).tolist(),
                }
            )
    return made


def write(result: dict[str, Any], folder: Path) -> None:
    """Write `result.json` and, one line per point, `points.csv`."""
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (folder / "result.json").write_text(text, encoding="utf-8")
    names, others = result["objectives"], result["others"]
    numbers = ("mu_r", "kl", "token_kl", "length", "base_perplexity")
    with (folder / "points.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        head = ["method", "strength", *(f"mu_{name}" for name in names), *names, *(f"error_{name}" for name in names)]
        table.writerow([*head, *numbers, *others])
        for method, entry in result["methods"].items():
            for point in entry["points"]:
                facts = [*point["preference"], *point["rewards"], *point["errors"]]
                line = [method, point["strength"], *facts, *(point[key] for key in numbers), *point["others"]]
                table.writerow([value if isinstance(value, str) else f"{value:.6g}" for value in line])
