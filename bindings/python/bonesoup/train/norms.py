"""`rewards.json`: the norm of each objective, measured once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm
from bonesoup.train.files import write_json
from bonesoup.train.project import Project


def write(project: Project, norms: Sequence[Norm]) -> None:
    """Write them into the project's output."""
    project.output.mkdir(parents=True, exist_ok=True)
    content = {objective.name: norm.as_json() for objective, norm in zip(project.objectives, norms)}
    write_json(project.output / "rewards.json", content)


def read(project: Project, file: Path | None = None) -> list[Norm] | None:
    """Read them from a file, or from the project's output; None where that has none yet.

    The bound is the project's own, so that it may change without new samples.
    """
    path = file or project.output / "rewards.json"
    if file is None and not path.exists():
        return None
    content = json.loads(path.read_text())
    norms = []
    for objective in project.objectives:
        entry = content.get(objective.name) if isinstance(content, dict) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("mean"), float) or not entry.get("std", 0) > 0:
            if file is None:
                return None
            raise error(Status.MALFORMED, f"{path} has no mean and std of {objective.name}")
        norms.append(Norm(entry["mean"], entry["std"], objective.clip))
    return norms
