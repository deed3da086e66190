"""`bonesoup tokenize`: a text's tokens."""

from __future__ import annotations

import argparse
from typing import Any

from bonesoup.cli import options as common


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("tokenize", help="show a text's tokens")
    common.add_model(command)
    common.add_prompt(command)
    command.add_argument("--no-special", action="store_true", help="without the tokens that the tokenizer adds (BOS)")
    command.add_argument("--parse-special", action="store_true", help="spellings of special tokens are these tokens")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show token numbers and what each adds to the text."""
    prompt = common.read_prompt(options)
    with common.open_soup(options) as soup:
        tokens = soup.tokenize(prompt, special=not options.no_special, parse_special=options.parse_special)
        pieces = [soup.token(token).decode(errors="replace") for token in tokens]
    if options.json:
        common.print_json({"tokens": tokens, "pieces": pieces})
    else:
        for token, piece in zip(tokens, pieces):
            print(f"{token:>8}  {piece!r}")
    return 0
