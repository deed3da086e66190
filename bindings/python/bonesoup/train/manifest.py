"""Writes `soup.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.rewards import Norm
from bonesoup.train.files import write_json
from bonesoup.train.project import Project

# What was measured on, or chosen for, the backbones that there were.
_MEASURED = ("front", "calibration", "extrapolation")


def write(project: Project, norms: Sequence[Norm], trained: Collection[str] = ()) -> Path:
    """Write the soup of all backbones that are there, in the matrix's order, and return its file.

    Where some are missing yet, the matrix has the rows of those that are there. What else a file that is there says
    (limits, presets, defaults, …) is kept, but what was measured on other backbones; where no backbone was trained and
    it names all, it is left alone.
    """
    file = project.output / "soup.json"
    old = _read(file)
    there = [
        (name, row)
        for name, row in zip(project.backbones, project.rows)
        if (project.output / "backbones" / name).is_dir()
    ]
    paths = [f"backbones/{name}" for name, _ in there]
    if not trained and set(paths) <= {entry["path"] for entry in old.get("backbones", [])}:
        return file
    whole = len(there) == len(project.rows)
    fresh = {f"backbones/{name}" for name in trained}
    content: dict[str, Any] = {
        **{key: value for key, value in old.items() if key not in _MEASURED},
        "bonesoup": 1,
        "base": base(project),
        "objectives": _merged(
            old.get("objectives", []),
            [
                {
                    "name": objective.name,
                    **({} if objective.label is None else {"label": objective.label}),
                    **({} if objective.description is None else {"description": objective.description}),
                    "norm": {"mean": norm.mean, "std": norm.std},
                }
                for objective, norm in zip(project.objectives, norms)
            ],
            "name",
        ),
        "backbones": _merged(
            [entry for entry in old.get("backbones", []) if entry["path"] not in fresh],
            [{"path": path} for path in paths],
            "path",
        ),
        "matrix": project.matrix if whole and isinstance(project.matrix, Mapping) else [list(row) for _, row in there],
        "metadata": {
            **old.get("metadata", {}),
            "name": project.name,
            "seed": project.training.seed,
            "rewards": "rewards.json",
        },
    }
    if "checksums" in content:
        content["checksums"] = {
            path: digest for path, digest in content["checksums"].items() if str(Path(path).parent) not in fresh
        }
    write_json(file, content)
    return file


def stretch(file: Path, factors: Sequence[float]) -> None:
    """Put the vertices' factors into a soup.json; its front, measured with others, is no longer of this soup."""
    content = _read(file)
    if content.get("extrapolation", [1.0] * len(factors)) != list(factors):
        content = {key: value for key, value in content.items() if key not in _MEASURED}
    write_json(file, {**content, "extrapolation": list(factors)})


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return content


def _merged(old: list[dict[str, Any]], new: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return the new entries, each with what the old one of the same key says beside."""
    kept = {entry[key]: entry for entry in old}
    return [{**kept.get(entry[key], {}), **entry} for entry in new]


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
