"""`bonesoup train`: backbones by combined reward, from a project."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("train", help="train a project's backbones and write the soup")
    command.add_argument("project", metavar="PROJECT", help="a soup.yml, or its folder")
    command.add_argument("--out", metavar="FOLDER", help="default: the project's output")
    command.add_argument("--seed", type=int, metavar="N", help="default: the project's")
    command.add_argument("--steps", type=int, metavar="N", help="of each backbone; default: the project's")
    command.add_argument("--matrix", metavar="MATRIX", help="bone:BETA, identity, or rows of numbers as JSON")
    command.add_argument("--only", action="append", default=[], metavar="NAME", help="a backbone; may be repeated")
    command.add_argument("--norms", metavar="FILE", help="a rewards.json, in place of measuring the base's samples")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train."""
    from bonesoup.train import matrix
    from bonesoup.train.project import Project
    from bonesoup.train.soup import train

    project = Project.load(options.project).changed(
        output=None if options.out is None else Path(options.out),
        seed=options.seed,
        matrix=None if options.matrix is None else matrix.parse(options.matrix),
        training={} if options.steps is None else {"steps": options.steps},
    )
    print(f"wrote {train(project, only=options.only, norms=None if options.norms is None else Path(options.norms))}")
    return 0
