"""`bonesoup diff`: how fine-tunes change their base, and where they disagree."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError
from bonesoup.comparison import ComparedTensor, Comparison
from bonesoup.progress import ProgressBar
from bonesoup.soup import Soup


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("diff", help="compare fine-tunes of one base, tensor by tensor")
    command.add_argument(
        "models", metavar="MODEL", nargs="+", help="a soup; or fine-tunes, the first the base without --base"
    )
    command.add_argument("--base", metavar="MODEL", help="what the others are fine-tunes of")
    command.add_argument("--threads", type=int, metavar="N", help="default: one per CPU")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument("--picture", metavar="FILE", help="draw it: .png, .svg or .pdf (needs matplotlib: extra eval)")
    command.set_defaults(run=run, weights=None)


def run(options: argparse.Namespace) -> int:
    """Compare and show."""
    base, *tuned = [options.base, *options.models] if options.base else options.models
    draw = None
    if options.picture is not None:
        from bonesoup.cli import picture

        draw = picture.draw
    with ProgressBar("opening") as bar:
        soup = _open(base, tuned, options.threads, bar)
    with soup, ProgressBar("comparing") as bar:
        comparison = soup.compare(progress=bar)
    if draw is not None:
        draw(comparison, options.picture)
    if options.json:
        common.print_json(_plain(dataclasses.asdict(comparison)))
    else:
        _print(comparison)
    return 0


def _open(base: str, tuned: Sequence[str], threads: int | None, bar: ProgressBar) -> Soup:
    if threads is not None and threads < 1:
        raise UsageError(f"--threads is {threads}; it must be 1 or more")
    soup = Soup.open(base, threads=threads, progress=bar)
    for path in tuned:
        soup.add_backbone(path)
    if not soup.backbones:
        raise UsageError("there is nothing to compare: give a soup, or a base and its fine-tunes")
    return soup


def _plain(value: Any) -> Any:
    """JSON has no NaN: it is null."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(comparison: Comparison) -> None:
    count = len(comparison.backbones)
    pairs = [(first, second) for first in range(count) for second in range(first + 1, count)]
    for number, path in enumerate(comparison.backbones):
        print(f"{number}  {path}")
    width = max(len("all together"), *(len(tensor.name) for tensor in comparison.tensors))
    columns = [f"‖Δ{number}‖/‖θ‖" for number in range(count)]
    columns += [f"{word}({first},{second})" for first, second in pairs for word in ("cos", "sign")]
    columns += ["conflict", "cancelled"] if count > 1 else []
    print(f"{'tensor':{width}} " + " ".join(f"{name:>11}" for name in columns))
    for tensor in (*comparison.tensors, comparison.total):
        numbers = [_share(norm, tensor) for norm in tensor.norms]
        for first, second in pairs:
            numbers += [tensor.cosines[first][second], tensor.agreements[first][second]]
        numbers += [tensor.conflict, tensor.cancellation] if count > 1 else []
        print(f"{tensor.name or 'all together':{width}} " + " ".join(f"{_number(value):>11}" for value in numbers))


def _share(norm: float, tensor: ComparedTensor) -> float:
    return norm / tensor.base_norm if tensor.base_norm else math.nan


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
