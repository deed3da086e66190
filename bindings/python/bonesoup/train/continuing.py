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
from bonesoup.train import norms as norm_files
from bonesoup.train.project import Project
from bonesoup.train.soup import train_missing


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
    norms = norm_files.read(project, file.parent / "rewards.json")
    if norms is None:
        raise error(Status.NOT_FOUND, f"{file.parent / 'rewards.json'} does not exist; the soup's norms are needed")
    norm_files.write(run, norms)
    train_missing(run, norms, starts=starts)
    new = manifest.write(run, norms)
    forgotten = _measure(run, norms, file, new, measured_on)
    (run.output / "forgotten.json").write_text(json.dumps(forgotten, indent=2) + "\n")
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
