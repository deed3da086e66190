"""Trains a project's backbones, one after the other, and writes the soup."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm
from bonesoup.train import manifest, report
from bonesoup.train import norms as norm_files
from bonesoup.train.backbone import train_backbone
from bonesoup.train.project import Project
from bonesoup.train.sampling import sample_base


def train(project: Project, *, only: Sequence[str] = (), norms: Path | None = None) -> Path:
    """Train the backbones that are not there yet, and return `soup.json`.

    Parameters
    ----------
    only
        Names of backbones; the others are left as they are.
    norms
        A `rewards.json` of another run with the same rewards and base, so that results can be compared.
    """
    for name in only:
        if name not in project.backbones:
            known = ", ".join(project.backbones)
            raise error(Status.NOT_FOUND, f"{project.path} has no backbone {name}; there are {known}")
    fixed = prepare(project, norms)
    train_missing(project, fixed, only=only)
    return manifest.write(project, fixed) if _is_main() else project.output / "soup.json"


def train_missing(
    project: Project, norms: Sequence[Norm], *, only: Sequence[str] = (), starts: Sequence[Path] = ()
) -> None:
    """Train the backbones that are not there yet, each from its place in `starts` where there are any."""
    for number, (name, mix) in enumerate(zip(project.backbones, project.rows)):
        if only and name not in only:
            continue
        done = _finished(project, name, mix)
        if _is_main():
            shares = ", ".join(f"{each.name} {share:.3g}" for each, share in zip(project.objectives, mix))
            print(f"{name}: {shares}{' (there already)' if done else ''}", file=sys.stderr, flush=True)
        if not done:
            summary = train_backbone(project, name, mix, norms, start=starts[number] if starts else None)
            for sign in summary.get("signs", ()):
                print(f"  warning: {sign}", file=sys.stderr, flush=True)


def _is_main() -> bool:
    """Say whether this is the process that writes, of those that train in parallel."""
    return os.environ.get("RANK", "0") == "0"


def prepare(project: Project, file: Path | None = None, *, again: bool = False) -> list[Norm]:
    """Return the norms, and write them to `rewards.json`.

    They are measured on the base's own samples where no file has them, or `again`. With the measuring comes
    `report.json`: what can be told before any training.
    """
    found = None if again else norm_files.read(project, file)
    if found is None:
        # Every process of a parallel run measures the same numbers: the samples depend on fixed seeds.
        first, second = sample_base(project, 0, 1)
        found = project.norms(first.scores(project.rewards()))
        if _is_main():
            known = report.make(project, found, first, second)
            report.write(project, known)
            print(known, file=sys.stderr, flush=True)
    if _is_main():
        norm_files.write(project, found)
    return found


def _finished(project: Project, name: str, mix: Sequence[float]) -> bool:
    """Say whether a backbone is there; one that was trained otherwise is refused, not mixed in."""
    file = project.output / "runs" / name / "run.json"
    if not file.exists() or not (project.output / "backbones" / name).is_dir():
        return False
    run = json.loads(file.read_text())
    wish = project.training
    # An objective that was added since counts 0.
    trained = run["mix"] + [0.0] * (len(mix) - len(run["mix"]))
    same = (
        len(trained) == len(mix)
        and all(abs(a - b) < 1e-9 for a, b in zip(trained, mix))
        and (run["seed"], run["steps"], run["kl_weight"], run["learning_rate"])
        == (wish.seed, wish.steps, wish.kl, wish.learning_rate)
    )
    if not same:
        raise error(
            Status.MISMATCH,
            f"{file} is of another mix, seed or budget; give another --out, or remove {project.output}",
        )
    return True
