"""`bonesoup generate`: prompt in, text out."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from bonesoup.cli import options as common
from bonesoup.progress import ProgressBar


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("generate", help="write text at a preference")
    common.add_model(command)
    common.add_prompt(command)
    common.add_blend(command)
    common.add_sampling(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the prompt's continuation."""
    prompt = common.read_prompt(options)
    choice = common.blend_choice(options)
    how = common.generate_options(options)
    with common.open_soup(options) as soup:
        with ProgressBar("blending") as bar:
            blend = soup.blend(**choice, progress=bar)
        with blend:
            if not options.json:
                how["on_text"] = _show
            result = blend.generate(prompt, **how)
    if options.json:
        common.print_json(
            {
                "text": result.text,
                "tokens": list(result.tokens),
                "finish_reason": result.finish_reason,
                "blend": common.describe(result.blend),
                "stats": dataclasses.asdict(result.stats),
            }
        )
    else:
        print()
    return 0


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
