"""The command `bonesoup`: text that follows sliders, from a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import bonesoup
from bonesoup.cli import blend, chat, generate, info, lint, logits, tokenize
from bonesoup.cli.failure import exit_status, sentence

_COMMANDS = (generate, chat, logits, tokenize, blend, info, lint)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = argparse.ArgumentParser(prog="bonesoup", description="Text generation with a slider per objective.")
    top.add_argument("--version", action="version", version=bonesoup.build_info())
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.declare(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; what goes wrong is one line on standard error."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except (Exception, KeyboardInterrupt) as failure:
        status = exit_status(failure)
        print(f"bonesoup: {sentence(failure)}", file=sys.stderr)
        return status
