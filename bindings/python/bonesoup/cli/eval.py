"""`bonesoup eval`: a soup's front, measured, beside the alternatives."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError, need


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("eval", help="measure a soup's front, and alternatives beside it (extra eval)")
    common.add_model(command)
    command.add_argument("--project", required=True, metavar="SOUP.YML", help="whose rewards and prompts count")
    command.add_argument("--out", required=True, metavar="DIR", help="results; broken off, it goes on there")
    command.add_argument(
        "--preferences", default="simplex:10", metavar="simplex:N|FILE", help="default simplex:10, 66 for 3 objectives"
    )
    command.add_argument("--against", action="append", default=[], metavar="METHOD[:WHAT]", help="; ? lists them")
    command.add_argument("--strengths", default="1", metavar="S,…", help="of each blend; several allow equal KL")
    command.add_argument("--prompts", metavar="FILE|validation|test", help="default: the project's test prompts")
    command.add_argument("--count", type=int, metavar="N", help="use only the first N prompts")
    command.add_argument("--samples", type=int, default=1, metavar="N", help="texts per prompt; default 1")
    command.add_argument("--max-tokens", type=int, metavar="N", help="default: the project's")
    command.add_argument("--temperature", type=float, default=1.0, metavar="X", help="default 1, as KL is defined")
    command.add_argument("--batch", type=int, metavar="N", help="texts at a time; default: by memory, 64 to 1024")
    kinds = ("auto", "live", "folded")
    command.add_argument("--kind", choices=kinds, default="auto", help="of blends; default auto")
    command.add_argument("--seed", type=int, default=1, metavar="N")
    command.add_argument("--also", default="", metavar="REWARD,…", help="rewards nobody asked for: side effects")
    command.add_argument("--near", type=int, default=8, metavar="N", help="prompts for the KL of neighbours; default 8")
    command.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default 1000")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="share the points by Ray (extra ray)")
    command.add_argument("--shard", default="0/1", metavar="I/N", help="only every N-th point, from the I-th on")
    command.add_argument("--no-report", action="store_true", help="no pictures, no HTML, soup.json left alone")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, compare, write."""
    need("eval", "eval", "numpy", "moocore", "yaml", "matplotlib")
    from bonesoup.eval.command import evaluate

    index, slash, count = options.shard.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not int(index) < int(count):
        raise UsageError(f"--shard is {options.shard}, which is not I/N with I < N")
    for name in ("samples", "batch", "workers", "resamples"):
        if (given := getattr(options, name)) is not None and given < 1:
            raise UsageError(f"--{name} is {given}; it must be 1 or more")
    result = evaluate(options, (int(index), int(count)))
    if result is None:
        return 0
    if options.json:
        common.print_json(result)
        return 0
    print(f"{'method':22} {'at':>8} {'mu·r':>7} {'KL':>7} {'J':>7} {'hypervolume':>20} {'control':>8} {'contin.':>8}")
    for method, entry in result["methods"].items():
        for key, words in (("own", "own KL"), ("equal_kl", "equal KL")):
            if key in entry:
                values = entry[key]
                volume = values["hypervolume"]
                print(
                    f"{method:22} {words:>8} {values['mu_r']['value']:7.3f} {values['kl']['value']:7.3f} "
                    f"{values['j']['value']:7.3f} {volume['value']:8.3f} {volume['low']:5.2f}–{volume['high']:5.2f} "
                    f"{values['controllability']['value']:8.3f} {values['continuity']['value']:8.2f}"
                )
    if not options.no_report:
        print(Path(options.out) / "report.html", file=sys.stderr)
    return 0
