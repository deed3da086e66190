"""`bonesoup seek`: which β, and how far each vertex is stretched."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bonesoup.cli.failure import UsageError


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("seek", help="choose β by short runs, or with --factors the vertices' stretch")
    command.add_argument("project", metavar="PROJECT", help="a soup.yml, or its folder")
    command.add_argument("--out", metavar="FOLDER", help="default: the project's output")
    command.add_argument("--seed", type=int, metavar="N", help="default: the project's")
    command.add_argument("--betas", default="0.6,0.7,0.8,1", metavar="X,…", help="default: 0.6,0.7,0.8,1")
    command.add_argument("--fractions", default="0.25,0.5", metavar="X,…", help="of the steps; default: 0.25,0.5")
    command.add_argument("--factors", action="store_true", help="of the trained soup; writes them into soup.json")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Seek."""
    from bonesoup.train import manifest
    from bonesoup.train.extras import need
    from bonesoup.train.project import Project

    seeking = need("bonesoup.train.seek")

    project = Project.load(options.project).changed(
        output=None if options.out is None else Path(options.out), seed=options.seed
    )
    if options.factors:
        chosen = seeking.factors(project)
        file = project.output / "soup.json"
        manifest.stretch(file, [round(factor, 4) for factor in chosen])
        named = ", ".join(f"{each.name} {factor:.3g}" for each, factor in zip(project.objectives, chosen))
        print(f"extrapolation {named}: written to {file}")
        return 0
    result = seeking.seek(
        project, betas=_numbers(options.betas, "--betas"), fractions=_numbers(options.fractions, "--fractions")
    )
    cost = result["cost"]
    rule = "{rule: identity}" if result["beta"] == 1 else f"{{rule: bone, beta: {result['beta']:g}}}"
    print(f"best: β {result['beta']:g}; took {cost['share_of_one_soup']:g} of one soup's steps")
    print(f"in {project.path}: matrix: {rule}")
    return 0


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} has “{text}”, which is not numbers with commas between them") from None
