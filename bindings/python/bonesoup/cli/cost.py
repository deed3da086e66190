"""`bonesoup cost`: what a soup costs beside the alternatives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.failure import need


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("cost", help="hours, bytes and seconds per change, from the training's logs")
    command.add_argument("soup", metavar="SOUP", help="a soup that bonesoup train made")
    command.add_argument("--price", type=float, metavar="X", help="of a device-hour: adds a column")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, measure, show."""
    need("eval", "cost", "numpy", "moocore")
    from bonesoup.eval.cost import cost

    found = cost(Path(options.soup))
    if options.json:
        common.print_json(found)
        return 0
    head = f"{'':30} {'trainings':>9} {'device-hours':>12} {'CPU-hours':>10} {'MB':>9} {'seconds per change':>18}"
    print(head + (f" {'price':>9}" if options.price is not None else ""))
    for name, way in found["ways"].items():
        line = (
            f"{name:30} {way['trainings']:>9} {way['device_hours']:>12.3g} {way['cpu_hours']:>10.3g} "
            f"{way['bytes'] / 1e6:>9.3g} {way['switch_seconds']:>18.2g}"
        )
        print(line + (f" {options.price * way['device_hours']:>9.3g}" if options.price is not None else ""))
    count = found["break_even_preferences"]
    print(f"one training per preference costs more from preference {count + 1} on; the soup has all of them")
    return 0
