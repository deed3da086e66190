"""`bonesoup factor`: a full backbone as a LoRA adapter."""

from __future__ import annotations

import argparse
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.export import describe
from bonesoup.cli.failure import UsageError
from bonesoup.progress import ProgressBar


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("factor", help="write a full backbone as a PEFT adapter, with what is lost")
    common.add_model(command)
    command.add_argument("out", metavar="OUT", help="a folder that does not exist yet")
    command.add_argument(
        "--backbone", metavar="PATH|N", help="a fine-tune's folder, or its number in the soup; default: 0"
    )
    limit = command.add_mutually_exclusive_group()
    limit.add_argument("--rank", type=int, metavar="N", help="of every matrix, at most")
    limit.add_argument("--max-error", type=float, default=0.1, metavar="X", help="of each matrix; default 0.1")
    command.add_argument("--format", choices=("f32", "f16", "bf16"), help="of the file; default f32")
    command.add_argument("--drop-vectors", action="store_true", help="leave norms and biases as in the base")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the adapter and show what is lost."""
    if options.rank is not None and options.rank < 1:
        raise UsageError(f"--rank is {options.rank}; it must be 1 or more")
    with common.open_soup(options) as soup:
        given = options.backbone or "0"
        number = int(given) if given.isascii() and given.isdigit() else soup.add_backbone(given)
        with ProgressBar("factoring") as bar:
            result = soup.factor(
                number,
                options.out,
                rank=options.rank,
                max_error=options.max_error,
                format=options.format,
                vectors="drop" if options.drop_vectors else "refuse",
                progress=bar,
            )
    if options.json:
        common.print_json({"path": options.out, **describe(result)})
        return 0
    print(f"{'tensor':50} {'rank':>5} {'norm':>11} {'error':>9}")
    for tensor in result.tensors:
        print(f"{tensor.name:50} {tensor.rank:>5} {tensor.norm:>11.4g} {tensor.error:>9.3g}")
    print(f"{'all together':50} {result.rank:>5} {'':>11} {result.error:>9.3g}")
    return 0
