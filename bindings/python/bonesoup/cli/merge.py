"""`bonesoup merge`: whole models into one, by mergekit's YAML."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import bonesoup
from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError
from bonesoup.merge_config import read_config


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("merge", help="merge models, as mergekit's YAML says")
    command.add_argument("config", metavar="CONFIG.yml", help="mergekit's YAML: merge_method, models, parameters, …")
    command.add_argument("out", metavar="OUT", help="a folder that does not exist yet")
    command.add_argument("--seed", type=int, metavar="N", help="of random methods; default: the file's, or 0")
    command.add_argument(
        "--shard-size", type=int, default=0, metavar="BYTES", help="of one file; default: 5,000,000,000"
    )
    command.add_argument("--threads", type=int, default=0, metavar="N", help="default: one per CPU")
    command.add_argument("--memory", type=int, default=0, metavar="BYTES", help="refuse to take more")
    command.add_argument("--hashes", action="store_true", help="put the source files' SHA-256 into the card")
    command.add_argument("--no-sync", action="store_true", help="do not wait until all is on the disk")
    command.add_argument("--plan", action="store_true", help="open and check everything, say the memory, write nothing")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Merge."""
    for name in ("shard_size", "threads", "memory"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be 0 or more")
    config = read_config(options.config)
    with bonesoup.Engine(options.threads, memory_budget=options.memory) as engine:
        plan = bonesoup.merge(
            config.models,
            None if options.plan else options.out,
            method=config.method,
            base=config.base,
            settings=config.settings,
            layers=config.layers,
            format=config.format,
            seed=config.seed if options.seed is None else options.seed,
            shard_size=options.shard_size,
            sync=not options.no_sync,
            hashes=options.hashes,
            engine=engine,
            progress=True,
        )
    if options.json:
        common.print_json({"path": None if options.plan else options.out, **dataclasses.asdict(plan)})
        return 0
    if not options.plan:
        print(f"wrote {options.out}")
    print(f"tensors       {plan.tensor_count}, {plan.output_size:,} bytes")
    print(f"peak memory   {plan.peak_memory:,} bytes")
    print(f"fingerprint   {plan.fingerprint}")
    return 0
