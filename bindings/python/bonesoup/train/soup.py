"""Trains a project's backbones, one after the other, and writes the soup."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm
from bonesoup.train import manifest, plan, report
from bonesoup.train import norms as norm_files
from bonesoup.train.backbone import train_backbone
from bonesoup.train.processes import is_main
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
    trained = train_missing(project, fixed, only=only)
    return manifest.write(project, fixed, trained) if is_main() else project.output / "soup.json"


def train_missing(
    project: Project, norms: Sequence[Norm], *, only: Sequence[str] = (), starts: Sequence[Path] = ()
) -> list[str]:
    """Train the backbones that are not there yet, each from its place in `starts` where there are any, and return
    their names."""
    trained = []
    for number, (name, mix) in enumerate(zip(project.backbones, project.rows)):
        if only and name not in only:
            continue
        start = starts[number] if starts else None
        done = _finished(project, name, mix, norms, start)
        if is_main():
            shares = ", ".join(f"{each.name} {share:.3g}" for each, share in zip(project.objectives, mix))
            print(f"{name}: {shares}{' (there already)' if done else ''}", file=sys.stderr, flush=True)
        if not done:
            summary = train_backbone(project, name, mix, norms, start=start)
            trained.append(name)
            for sign in summary.get("signs", ()):
                print(f"  warning: {sign}", file=sys.stderr, flush=True)
    return trained


def prepare(project: Project, file: Path | None = None, *, again: bool = False) -> list[Norm]:
    """Return the norms, and write them to `rewards.json` unless backbones there were trained by those in it.

    They are `file`'s, else those in `rewards.json`, else measured on the base's own samples; `again` measures anew as
    long as nothing is trained. With the measuring comes `report.json`: what can be told before any training.
    """
    for part in ("validation", "test"):
        # What is wrong with them is better known now than when all is trained.
        project.read_prompts(part)
    kept = _begun(project) and (project.output / "rewards.json").exists()
    found = norm_files.read(project, file) if kept or file is not None or not again else None
    if kept:
        _check_kept(project, found, file, again)
    if found is None or again:
        # Every process of a parallel run measures the same numbers: the samples depend on fixed seeds.
        first, second = sample_base(project, 0, 1)
        found = found or project.norms(first.scores(project.rewards()))
        if is_main():
            known = report.make(project, found, first, second)
            report.write(project, known)
            print(known, file=sys.stderr, flush=True)
    if is_main() and not kept:
        norm_files.write(project, found)
    return found


def _begun(project: Project) -> bool:
    """Say whether anything in the output was trained, in part or whole."""
    return any(any(project.output.glob(f"{place}/*")) for place in ("backbones", "runs/*/checkpoints"))


def _check_kept(project: Project, found: Sequence[Norm] | None, file: Path | None, again: bool) -> None:
    """Refuse norms other than those by which the backbones were trained."""
    there = norm_files.read(project)
    if there is None and not again:
        raise error(
            Status.MISMATCH,
            f"{project.output / 'rewards.json'}, by which backbones were trained, lacks objectives of {project.path}; "
            "for one more there is --add-objective",
        )
    if file is not None and found != there:
        raise error(
            Status.MISMATCH,
            f"{project.output} has backbones trained by other norms than those of {file}; give another --out",
        )


def _finished(
    project: Project, name: str, mix: Sequence[float], norms: Sequence[Norm], start: Path | None = None
) -> bool:
    """Say whether a backbone is there; one that was trained otherwise is refused, not mixed in."""
    file = project.output / "runs" / name / "run.json"
    if not file.exists() or not (project.output / "backbones" / name).is_dir():
        return False
    if (file.parent / "plan.json").exists() or start is not None:
        plan.check(file.parent / "plan.json", plan.make(project, mix, norms, start))
        return True
    # Of a time before there were plans.
    run, training = json.loads(file.read_text()), project.training
    # An objective that was added since counts 0.
    trained = run["mix"] + [0.0] * (len(mix) - len(run["mix"]))
    same = (
        len(trained) == len(mix)
        and all(abs(a - b) < 1e-9 for a, b in zip(trained, mix))
        and (run["seed"], run["steps"], run["kl_weight"], run["learning_rate"])
        == (training.seed, training.steps, training.kl, training.learning_rate)
    )
    if not same:
        raise error(
            Status.MISMATCH,
            f"{file} is of another mix, seed or budget; give another --out, or remove {project.output}",
        )
    return True
