"""`bonesoup logits`: what the model finds likely."""

from __future__ import annotations

import argparse
import os
import struct
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError
from bonesoup.session import Session


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("logits", help="show what the model finds likely after a prompt")
    common.add_model(command)
    common.add_prompt(command)
    common.add_blend(command)
    command.add_argument("--top", type=int, default=10, metavar="N", help="how many of the last position; default 10")
    command.add_argument("--out", metavar="FILE.npy", help="write all positions, [positions × vocabulary] in f32")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the highest logits, or write all of them."""
    if options.top < 0:
        raise UsageError(f"--top is {options.top}; it must be 0 or more")
    prompt = common.read_prompt(options)
    choice = common.blend_choice(options)
    with common.open_soup(options) as soup, soup.blend(**choice) as blend:
        tokens = soup.tokenize(prompt) if soup.info.has_tokenizer else []
        if not tokens:
            raise UsageError("there is no token to compute: give a --prompt")
        with blend.session(context=len(tokens)) as session:
            session.append(tokens)
            session.decode(all_logits=options.out is not None)
            values = session.logits()
            best = sorted(range(len(values)), key=lambda token: (-values[token], token))[: options.top]
            top = [{"id": token, "text": _text(soup, token), "logit": float(values[token])} for token in best]
            if options.out is not None:
                _write(Path(options.out), session, len(tokens), len(values))
    if options.json:
        common.print_json({"tokens": tokens, "top": top})
    else:
        for entry in top:
            print(f"{entry['id']:>8}  {entry['logit']:10.5f}  {entry['text']!r}")
    return 0


def _text(soup: Any, token: int) -> str:
    # A model may have more logits than its tokenizer has tokens.
    try:
        return str(soup.token(token).decode(errors="replace"))
    except LookupError:
        return ""


def _write(path: Path, session: Session, positions: int, vocabulary: int) -> None:
    """Write NumPy's format, version 1.0, under another name first."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({positions}, {vocabulary}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    temporary = path.with_name(path.name + ".part")
    file = temporary.open("wb")
    try:
        with file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
            for position in range(positions):
                file.write(session.logits(position).tobytes())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
