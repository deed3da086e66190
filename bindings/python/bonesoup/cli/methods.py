"""`bonesoup methods`: what merge methods there are."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import bonesoup
from bonesoup.cli import options as common

_NEGATIVES = {
    "ignored": "has no weights",
    "signed": "a negative weight turns the task vector round",
    "factor": "a weight is a plain factor",
}


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("methods", help="list the merge methods and their parameters")
    command.add_argument("name", nargs="?", metavar="METHOD", help="only this one")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List them."""
    found = bonesoup.methods()
    if options.name is not None:
        found = [bonesoup.merging.require_method(options.name)]
    if options.json:
        common.print_json({"methods": [dataclasses.asdict(method) for method in found]})
        return 0
    for method in found:
        least, most = method.models
        models = f"{least}" if least == most else f"{least} to {most}"
        base = {"unused": "no base", "optional": "perhaps a base", "required": "a base"}[method.base]
        soup = ", soups" if method.for_soups else ""
        print(f"{method.name}: {method.summary}")
        print(f"    takes {base} and {models} models{soup}; {_NEGATIVES[method.negative]}")
        for parameter in method.parameters:
            default = "required" if parameter.default is None else f"default {parameter.default:g}"
            each = "each model, " if parameter.per_model else ""
            kind = "0 or 1" if parameter.is_flag else f"{parameter.minimum:g} to {parameter.maximum:g}"
            print(f"    {parameter.name:<18} {each}{kind}, {default}: {parameter.summary}")
    return 0
