"""`bonesoup init`: a soup project from a template."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bonesoup.train.templates import TEMPLATES, create


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("init", help="begin a soup project from a template")
    command.add_argument("template", metavar="TEMPLATE", choices=tuple(TEMPLATES), help=", ".join(TEMPLATES))
    command.add_argument("folder", metavar="FOLDER", help="a folder that does not exist yet")
    command.add_argument("--base", required=True, metavar="MODEL", help="the model to tune: a folder or a Hub name")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the project's files."""
    folder = Path(options.folder)
    place = Path(options.base)
    # A folder is meant from here, while soup.yml reads it from its own.
    base = str(place.resolve()) if place.exists() else options.base
    for file in create(options.template, folder, base):
        print(f"wrote {file}")
    print(f"next: bonesoup train {folder}")
    return 0
