"""The command `bonesoup`: text that follows sliders, from a terminal."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import bonesoup
from bonesoup.cli import (
    blend,
    chat,
    cost,
    diff,
    eval,
    export,
    factor,
    generate,
    guard,
    info,
    init,
    lint,
    logits,
    merge,
    methods,
    seek,
    tokenize,
    train,
)
from bonesoup.cli.failure import exit_status, sentence

_COMMANDS = (
    generate,
    chat,
    logits,
    tokenize,
    blend,
    info,
    lint,
    export,
    factor,
    diff,
    merge,
    methods,
    init,
    train,
    seek,
    eval,
    guard,
    cost,
)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bonesoup: {message}; {self.prog} --help shows what there is\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = _Parser(prog="bonesoup", description="Text generation with a slider per objective.")
    top.add_argument("--version", action="version", version=bonesoup.build_info())
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.declare(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; what goes wrong is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its number.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever reads the output has seen enough, as `head` has. What is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as failure:
        status = exit_status(failure)
        print(f"bonesoup: {sentence(failure)}", file=sys.stderr)
        return status


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join --coefficients to its value, which argparse would take for an option where it starts with a minus sign."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--coefficients":
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined
