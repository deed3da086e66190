"""`bonesoup guard`: slider limits inside which every objective stays above a floor."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError, need


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("guard", help="find slider limits from the measured front (extra eval)")
    command.add_argument("soup", metavar="SOUP", help="a soup that bonesoup eval has measured")
    command.add_argument(
        "--floor", metavar="NAME=X,…", help="least normalised reward; default: the floors of soup.json"
    )
    command.add_argument("--write", action="store_true", help="put limits, floors and clamping into soup.json")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find the box, show it, and write it where asked to."""
    need("eval", "guard", "numpy", "moocore")
    from bonesoup.eval.front import load, manifest, save
    from bonesoup.eval.guard import find

    file = manifest(Path(options.soup))
    content = json.loads(file.read_text(encoding="utf-8"))
    if options.floor is not None:
        floors = dict(common.parse_numbers(options.floor, "--floor"))
    else:
        floors = {each["name"]: each["floor"] for each in content["objectives"] if "floor" in each}
    if not floors:
        raise UsageError("there are no floors: give --floor, or floor in soup.json's objectives")
    front = load(Path(options.soup))
    split = front.get("split")
    if split != "validation":
        words = "prompts that it does not name" if split is None else f"{split} prompts"
        print(f"the front is of {words}; choose limits by bonesoup eval --prompts validation", file=sys.stderr)
    guard = find(front, floors)
    limits = {name: (low, high) for name, low, high in zip(front["objectives"], guard.minimum, guard.maximum)}
    if options.write:
        for objective in content["objectives"]:
            low, high = limits[objective["name"]]
            objective.update(min=low, max=high)
            if objective["name"] in floors:
                objective["floor"] = floors[objective["name"]]
        content["guard"] = {**content.get("guard", {}), "on_violation": "clamp"}
        save(file, content)
    if options.json:
        common.print_json({"limits": limits, "region": guard.region, "box": guard.box})
        return 0
    for name, (low, high) in limits.items():
        print(f"{name:20} {low:.3g} to {high:.3g}")
    print(f"all floors hold on {guard.region:.0%} of the preferences; the limits leave {guard.box:.0%}")
    return 0
