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
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bonesoup.train.norms import read as read_norms
from bonesoup.train.project import Project
from bonesoup.train.soup import prepare, train
from bonesoup.train.templates import create

# The preferences of the oracle, named before anything was trained.
ORACLE = ((1 / 3, 1 / 3, 1 / 3), (0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6))


@dataclasses.dataclass(frozen=True)
class Job:
    """A soup to train."""

    place: str
    seed: int
    matrix: Any
    only: tuple[str, ...] = ()


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


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the runs of the comparison.")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--beta", type=float, help="default: what exp/seek.json says, else 0.7")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the runs' folders")
    parser.add_argument("--plan", action="store_true", help="list the runs")
    options = parser.parse_args()

    folder: Path = options.out / "story"
    if not (folder / "soup.yml").exists():
        create("story", folder, str(options.base.resolve()))
    project = Project.load(folder)
    norms = project.output / "rewards.json"
    if not options.plan and read_norms(project) is None:
        prepare(project)
    chosen = options.out / "seek.json"
    beta = options.beta or (json.loads(chosen.read_text())["beta"] if chosen.exists() else 0.7)
    for job in jobs(options.seeds, beta):
        if not fnmatch.fnmatch(job.place, options.only):
            continue
        print(job.place, json.dumps(job.matrix), file=sys.stderr, flush=True)
        if not options.plan:
            run = project.changed(output=options.out / job.place, seed=job.seed, matrix=job.matrix)
            train(run, only=job.only, norms=norms)


if __name__ == "__main__":
    main()
