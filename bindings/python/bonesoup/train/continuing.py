"""Backbones that go on from those of a shipped soup, on other prompts."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm
from bonesoup.train import manifest
from bonesoup.train import matrix as matrices
from bonesoup.train.files import write_json
from bonesoup.train.processes import is_main
from bonesoup.train.project import Project
from bonesoup.train.soup import prepare, train_missing


def continue_from(project: Project, old: Path, measured_on: Path | None = None) -> dict[str, Any]:
    """Train each backbone of the soup `old` further on the project's prompts, and return what was forgotten.

    The KL of these runs is to where they begin, not to the base: TRL takes the adapter that it is given as the
    reference. Objectives, matrix and norms are the old soup's.

    Parameters
    ----------
    measured_on
        Prompts of what the old soup was made for; default: the project's own validation prompts.

    Returns
    -------
    dict
        For each backbone the normalised rewards of the old and of the new one, on the old prompts and on the new.
        Empty where `bonesoup[eval]` is not installed.
    """
    file = old / "soup.json" if old.is_dir() else old
    if file.parent.resolve() == project.output.resolve():
        raise error(Status.INVALID_ARGUMENT, f"{file} is in the output itself; give another --out to go on from it")
    soup = json.loads(file.read_text())
    names = [objective["name"] for objective in soup["objectives"]]
    wanted = [objective.name for objective in project.objectives]
    if names != wanted:
        raise error(
            Status.MISMATCH, f"{file} has the objectives {', '.join(names)}; {project.path} has {', '.join(wanted)}"
        )
    matrices.rows(soup["matrix"], len(names))
    starts = [file.parent / entry["path"] for entry in soup["backbones"]]
    run = dataclasses.replace(project, matrix=soup["matrix"], names=tuple(start.name for start in starts))
    measured = file.parent / "rewards.json"
    if not measured.exists():
        raise error(Status.NOT_FOUND, f"{measured} does not exist; the soup's norms are needed")
    norms = prepare(run, measured)
    trained = train_missing(run, norms, starts=starts)
    if not is_main():
        return {}
    new = manifest.write(run, norms, trained)
    forgotten = _measure(run, norms, file, new, measured_on)
    write_json(run.output / "forgotten.json", forgotten)
    return forgotten


def _measure(project: Project, norms: list[Norm], old: Path, new: Path, measured_on: Path | None) -> dict[str, Any]:
    if not all(importlib.util.find_spec(name) for name in ("numpy", "moocore")):
        return {}
    import numpy

    from bonesoup.train import front

    parts = {"new prompts": project}
    if measured_on is not None:
        files = dataclasses.replace(project.prompts, validation=measured_on)
        parts["old prompts"] = dataclasses.replace(project, prompts=files)
    content: dict[str, Any] = {}
    each = numpy.eye(len(project.backbones))
    for part, where in parts.items():
        what = front.task(where, norms)
        pairs = zip(project.backbones, front.measure(old, what, each), front.measure(new, what, each))
        content[part] = {
            name: {
                objective.name: {"before": a, "after": b}
                for objective, a, b in zip(project.objectives, before.rewards, after.rewards)
            }
            for name, before, after in pairs
        }
    return content
