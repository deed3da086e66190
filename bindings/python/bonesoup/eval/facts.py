"""What a folder's points were measured with, in `task.json`, and of which soup they are, in `METHOD/method.json`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.eval.task import Task
from bonesoup.rewards import source
from bonesoup.train import digests
from bonesoup.train.project import Project

# Of a soup.json what texts depend on beside the weights; eval, guard and hosts change the rest.
_KEYS = ("matrix", "extrapolation", "method")
_SOUP_FILES = ("soup.json", "front.json", "calibration.json")


class Contents:
    """Digests of soups by their files' content, each file read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def soup(self, path: Path) -> str:
        """Return the digest of a soup: its matrix and stretch, and the files of its base and backbones."""
        file = path / "soup.json" if path.is_dir() else path
        if file.suffix == ".json" and file.is_file():
            content = json.loads(file.read_text(encoding="utf-8"))
            parts = [content["base"], *(each["path"] for each in content.get("backbones", ()))]
            digests = [self._model(file.parent / part) for part in parts]
            asked = [[each.get("name"), each.get("label")] for each in content.get("objectives", ())]
            return _digest({**{key: content.get(key) for key in _KEYS}, "objectives": asked, "models": digests})
        return _digest({"models": [self._model(path)]})

    def _model(self, path: Path) -> str:
        names = sorted(path.iterdir()) if path.is_dir() else [path]
        files = [file for file in names if file.is_file() and file.name not in _SOUP_FILES]
        return _digest([[file.name, self.file(file)] for file in files])

    def file(self, file: Path) -> str:
        """Return the digest of a file."""
        place = file.resolve()
        if place not in self._known:
            self._known[place] = digests.of_file(place)
        return self._known[place]


def of_task(task: Task, project: Project, contents: Contents) -> dict[str, Any]:
    """Return what every point of a folder depends on: prompts, rewards and their scale, how texts are drawn."""
    asked = {each.name: each for each in project.objectives}
    rewards = [
        {
            "name": one.name,
            "reward": asked[one.name].reward,
            "parameters": dict(asked[one.name].parameters),
            "code": _code(asked[one.name].reward, project, contents),
            "mean": one.mean,
            "std": one.std,
            "clip": one.clip,
        }
        for one in task.objectives
    ]
    return {
        "prompts": list(task.prompts),
        "rows": _digest([dict(row) for row in task.rows]),
        "rewards": rewards,
        "also": {one.name: _code(one.name, project, contents) for one in task.others},
        "samples": task.samples,
        "max_tokens": task.sampling.max_tokens,
        "temperature": task.sampling.temperature,
        "seed": task.seed,
    }


def _code(reward: str, project: Project, contents: Contents) -> str | None:
    """The digest of the file that a reward is in, which is not bonesoup's own."""
    file = source(reward, project.path.parent)
    return None if file is None else contents.file(file)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def same_task(folder: Path, facts: Mapping[str, Any]) -> None:
    """Remember what the points in a folder were measured with; refuse to add others to them."""
    _same(folder / "task.json", facts, folder, any(folder.glob("*/*.npz")))


def same_method(folder: Path, facts: Mapping[str, Any]) -> None:
    """Remember what a method's points are of: `folder` is the method's own."""
    _same(folder / "method.json", facts, folder, any(folder.glob("*.npz")))


def _same(file: Path, facts: Mapping[str, Any], folder: Path, measured: bool) -> None:
    text = json.dumps(facts, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if not file.exists():
        if measured:
            message = f"{folder} has points and no {file.name} that tells of what they are; take another folder"
            raise error(Status.MISMATCH, message)
        write(file, text)
    elif file.read_text(encoding="utf-8") != text:
        changed = ", ".join(_changed(json.loads(file.read_text(encoding="utf-8")), json.loads(text)))
        message = f"{folder} has points that were measured otherwise ({file.name}: {changed}); take another folder"
        raise error(Status.MISMATCH, message)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[str]:
    return sorted(key for key in {*before, *now} if before.get(key) != now.get(key))


def write(file: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, file)
