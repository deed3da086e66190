"""`plan.json`: what a backbone is trained on, written before its first step.

A run that was killed goes on, and one that is there counts, only where it is of the same plan.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm, source
from bonesoup.train import digests
from bonesoup.train.project import Project

# How many samples pass at once changes nothing but rounding; what the norm's samples gave stands in the norms.
_NOT_PLANNED = ("batch", "norm_samples")


def make(project: Project, mix: Sequence[float], norms: Sequence[Norm], start: Path | None = None) -> dict[str, Any]:
    """Return the plan of a backbone, as its JSON is read back. `start` is as in `train_backbone`."""
    training = dataclasses.asdict(project.training)
    prompts = project.read_prompts("train")
    base = Path(project.base)
    content = {
        "objectives": {
            objective.name: {
                "mix": round(share, 12),
                "reward": objective.reward,
                "parameters": dict(objective.parameters),
                "code": _code(objective.reward, project.path.parent),
                "norm": norm.as_json(),
            }
            for objective, share, norm in zip(project.objectives, mix, norms)
        },
        "training": {key: value for key, value in training.items() if key not in _NOT_PLANNED},
        "adapter": None if project.adapter is None or start is not None else dataclasses.asdict(project.adapter),
        "base": digests.of_model(base) if base.is_dir() else project.base,
        "start": None if start is None else digests.of_model(start),
        "prompts": digests.of_text(json.dumps([prompts.texts, prompts.rows], default=str).encode()),
    }
    plan: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return plan


def check(file: Path, wish: Mapping[str, Any]) -> None:
    """Refuse a run whose plan is another one, naming what differs. An objective that counts 0 may be there or not."""
    if not file.exists():
        raise error(
            Status.NOT_FOUND, f"{file} does not exist, so that nobody knows what was trained; remove {file.parent}"
        )
    there, wanted = dict(_flat(_counting(json.loads(file.read_text())))), dict(_flat(_counting(wish)))
    differing = [
        f"{key} {there.get(key, 'absent')} in place of {wanted.get(key, 'absent')}"
        for key in {**there, **wanted}
        if key not in there or key not in wanted or there[key] != wanted[key]
    ]
    if differing:
        raise error(
            Status.MISMATCH,
            f"{file} is another plan: {', '.join(differing[:4])}{', …' if len(differing) > 4 else ''}; "
            f"give another --out, or remove {file.parent} to train it anew",
        )


def _counting(plan: Mapping[str, Any]) -> dict[str, Any]:
    objectives = {name: entry for name, entry in plan["objectives"].items() if entry["mix"] != 0}
    return {**plan, "objectives": objectives}


def _flat(content: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield place + key, value


def _code(reward: str, folder: Path) -> str | None:
    file = source(reward, folder)
    return None if file is None else digests.of_file(file)
