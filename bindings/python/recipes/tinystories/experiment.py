"""
Trains everything that the comparison of soups needs, one run after the other; what is there is not trained again.

    python experiment.py --base Tests/Fixtures/demo-soup/base --out exp [--seeds 1 2 3] [--only PATTERN] [--plan]

Every run has the same data, steps, samples and norms; those of a seed have the same seed. Killed, it goes on from the
last checkpoint. The order is such that what is there after any time is worth most: all of seed 1 first.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bonesoup.train.adding import add_objective
from bonesoup.train.project import Project
from bonesoup.train.seek import compare, seek
from bonesoup.train.soup import prepare, train
from bonesoup.train.templates import create

# The preferences of the oracle, named before anything was trained.
ORACLE = ((1 / 3, 1 / 3, 1 / 3), (0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6))
# The paper's.
BETAS = (0.6, 0.7, 0.8)


@dataclasses.dataclass(frozen=True)
class Job:
    """A soup to train."""

    place: str
    seed: int
    matrix: Any
    # How many of the objectives, from the first; the soup of one more is made of it.
    objectives: int = 3
    # The soup that this one adds its last objective to.
    add_to: str | None = None


def jobs(seeds: list[int], beta: float) -> Iterator[Job]:
    """Yield them in the order of worth."""
    bone = {"rule": "bone", "beta": beta}
    for seed in seeds:
        yield Job(f"seed-{seed}/rs", seed, {"rule": "identity"})
        yield Job(f"seed-{seed}/bone-{beta:g}", seed, bone)
        if seed == seeds[0]:
            for preference in ORACLE:
                name = "-".join(f"{share:.2g}" for share in preference)
                yield Job(f"seed-{seed}/morlhf-{name}", seed, [list(preference)])
    # How a third objective is added to a soup of two.
    for seed in seeds:
        two = f"seed-{seed}/two-{beta:g}"
        yield Job(two, seed, bone, objectives=2)
        yield Job(f"seed-{seed}/added-{beta:g}", seed, bone, add_to=two)


def choose(project: Project, out: Path, seed: int, norms: Path) -> float:
    """Seek β by short runs, then train those of the last round in full with the first seed, and take the better one."""
    file = out / "beta.json"
    if not file.exists():
        short = project.output / "seek.json"
        if not short.exists():
            seek(project.changed(seed=0), betas=BETAS)
        soups = {}
        for candidate in json.loads(short.read_text())["rounds"][-1]["candidates"]:
            beta = candidate["beta"]
            job = Job(f"seed-{seed}/bone-{beta:g}", seed, {"rule": "bone", "beta": beta})
            do(job, project, out, norms)
            soups[beta] = out / job.place / "soup.json"
        found = compare(project, prepare(project), soups, project.training.steps)
        file.write_text(json.dumps([dataclasses.asdict(each) for each in found], indent=2) + "\n")
    return float(json.loads(file.read_text())[0]["beta"])


def do(job: Job, project: Project, out: Path, norms: Path) -> None:
    """Train a job's backbones."""
    run = project.changed(output=out / job.place, seed=job.seed, matrix=job.matrix)
    if job.add_to is not None:
        if not run.output.exists():
            shutil.copytree(out / job.add_to, run.output)
        # The norms of all three are those of the other runs.
        shutil.copyfile(norms, run.output / "rewards.json")
        add_objective(run)
    else:
        train(dataclasses.replace(run, objectives=run.objectives[: job.objectives]), norms=norms)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the runs of the comparison.")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--beta", type=float, help="default: sought by short runs with seed 0, then in full")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the runs' folders")
    parser.add_argument("--plan", action="store_true", help="list the runs")
    options = parser.parse_args()

    folder: Path = options.out / "story"
    if not (folder / "soup.yml").exists():
        create("story", folder, str(options.base.resolve()))
    project = Project.load(folder)
    norms = project.output / "rewards.json"
    prepare(project)
    beta = options.beta or choose(project, options.out, options.seeds[0], norms)
    for job in jobs(options.seeds, beta):
        if fnmatch.fnmatch(job.place, options.only):
            print(job.place, json.dumps(job.matrix), file=sys.stderr, flush=True)
            if not options.plan:
                do(job, project, options.out, norms)


if __name__ == "__main__":
    main()
