"""`bonesoup export`: a blend as files that other engines serve."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from bonesoup._exporting import ExportKind
from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError
from bonesoup.factoring import Factoring
from bonesoup.progress import ProgressBar


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("export", help="write a blend as a Hugging Face folder or a PEFT adapter")
    common.add_model(command)
    command.add_argument("out", metavar="OUT", help="a folder that does not exist yet")
    common.add_blend(command)
    command.add_argument("--adapter", action="store_true", help="one PEFT LoRA adapter instead of a whole model")
    command.add_argument("--format", choices=("f32", "f16", "bf16"), help="of the file; default: as its sources")
    command.add_argument("--rank", type=int, default=0, metavar="N", help="adapter: recompress to so many ranks")
    command.add_argument(
        "--shard-size", type=int, default=0, metavar="BYTES", help="of one file; default: 5,000,000,000"
    )
    command.add_argument("--base-name", metavar="NAME", help="what the files call the base, as a hub's name")
    command.add_argument("--no-hashes", action="store_true", help="do not hash the source files for the card")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the blend."""
    for name in ("rank", "shard_size"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be 0 or more")
    choice = common.blend_choice(options)
    kind: ExportKind = "adapter" if options.adapter else "folder"
    with common.open_soup(options) as soup:
        info = soup.solve(**choice)
        with ProgressBar("exporting") as bar:
            lost = soup.export(
                options.out,
                point=choice,
                kind=kind,
                format=options.format,
                rank=options.rank,
                shard_size=options.shard_size,
                base_name=options.base_name,
                hashes=not options.no_hashes,
                progress=bar,
            )
    if options.json:
        common.print_json(
            {
                "path": options.out,
                "kind": kind,
                "blend": common.describe(info),
                "factoring": None if lost is None else describe(lost),
            }
        )
        return 0
    print(f"wrote {options.out}")
    if lost is not None:
        print(f"rank {lost.rank}, error {lost.error:.3g} of the change")
    return 0


def describe(factoring: Factoring) -> dict[str, Any]:
    """Return a factoring as the JSON outputs have it."""
    return dataclasses.asdict(factoring)
