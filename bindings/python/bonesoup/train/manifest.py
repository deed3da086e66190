"""Writes `soup.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.rewards import Norm
from bonesoup.train.project import Project


def write(project: Project, norms: Sequence[Norm], extrapolation: Sequence[float] | None = None) -> Path:
    """Write the soup of all backbones that are there, in the matrix's order, and return its file.

    Where some are missing yet, the matrix has the rows of those that are there.
    """
    there = [
        (name, row)
        for name, row in zip(project.backbones, project.rows)
        if (project.output / "backbones" / name).is_dir()
    ]
    whole = len(there) == len(project.rows)
    content: dict[str, Any] = {
        "bonesoup": 1,
        "base": base(project),
        "objectives": [
            {
                "name": objective.name,
                **({} if objective.label is None else {"label": objective.label}),
                **({} if objective.description is None else {"description": objective.description}),
                "norm": {"mean": norm.mean, "std": norm.std},
            }
            for objective, norm in zip(project.objectives, norms)
        ],
        "backbones": [{"path": f"backbones/{name}"} for name, _ in there],
        "matrix": project.matrix if whole and isinstance(project.matrix, Mapping) else [list(row) for _, row in there],
        "metadata": {"name": project.name, "seed": project.training.seed, "rewards": "rewards.json"},
    }
    if extrapolation is not None:
        content["extrapolation"] = list(extrapolation)
    file = project.output / "soup.json"
    file.write_text(json.dumps(content, indent=2) + "\n")
    return file


def base(project: Project) -> str:
    """Return the base's place relative to the output; a base that is no folder is written there."""
    folder = Path(project.base)
    if folder.is_dir():
        return os.path.relpath(folder, project.output)
    target = project.output / "base"
    if not (target / "config.json").exists():
        from huggingface_hub import snapshot_download

        source = snapshot_download(project.base, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja"])
        shutil.copytree(source, target, dirs_exist_ok=True)
    return "base"
