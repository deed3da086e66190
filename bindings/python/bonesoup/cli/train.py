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
    command.add_argument("--report", action="store_true", help="only say what the base's samples tell; train nothing")
    command.add_argument(
        "--add-objective", action="store_true", help="train the project's last objective for the soup in its output"
    )
    command.add_argument("--continue", dest="old", metavar="SOUP", help="go on from this soup's backbones")
    command.add_argument("--old-prompts", metavar="FILE", help="with --continue: what must not be forgotten")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train."""
    from bonesoup.train import matrix
    from bonesoup.train.adding import add_objective
    from bonesoup.train.continuing import continue_from
    from bonesoup.train.project import Project
    from bonesoup.train.soup import prepare, train

    project = Project.load(options.project).changed(
        output=None if options.out is None else Path(options.out),
        seed=options.seed,
        matrix=None if options.matrix is None else matrix.parse(options.matrix),
        training={} if options.steps is None else {"steps": options.steps},
    )
    norms = None if options.norms is None else Path(options.norms)
    if options.report:
        prepare(project, norms, again=True)
        print(f"wrote {project.output / 'report.json'}")
        return 0
    if options.add_objective:
        print(f"wrote {add_objective(project)}")
        return 0
    if options.old is not None:
        old_prompts = None if options.old_prompts is None else Path(options.old_prompts)
        forgotten = continue_from(project, Path(options.old), old_prompts)
        for part, backbones in forgotten.items():
            for backbone, rewards in backbones.items():
                changes = ", ".join(
                    f"{name} {both['before']:+.2f} → {both['after']:+.2f}" for name, both in rewards.items()
                )
                print(f"{part}, {backbone}: {changes}")
        print(f"wrote {project.output / 'soup.json'}")
        return 0
    print(f"wrote {train(project, only=options.only, norms=norms)}")
    return 0
