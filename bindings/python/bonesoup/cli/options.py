"""The options that several commands have, and what they mean."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bonesoup._constants import FORMATS
from bonesoup.blend_info import BlendInfo
from bonesoup.cli.failure import UsageError
from bonesoup.options import BlendChoice, GenerateOptions
from bonesoup.progress import ProgressBar
from bonesoup.soup import Soup


def add_model(command: argparse.ArgumentParser) -> None:
    """Declare the soup and how it is opened."""
    command.add_argument("soup", metavar="SOUP", help="a soup (folder or JSON file) or a plain model folder")
    command.add_argument("--weights", choices=tuple(FORMATS), help="run-time format; default: the files' own")
    command.add_argument("--threads", type=int, metavar="N", help="default: one per CPU")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def add_blend(command: argparse.ArgumentParser) -> None:
    """Declare which blend is used."""
    point = command.add_mutually_exclusive_group()
    point.add_argument("--preference", metavar="NAME=X,…", help="how much each objective matters; the parts sum to 1")
    point.add_argument("--coefficients", metavar="X,…", help="how much of each backbone goes in, as it is")
    point.add_argument("--preset", metavar="NAME", help="a preference that the soup names")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--live", action="store_true", help="adapters are added row by row")
    kind.add_argument("--folded", action="store_true", help="the weights are computed first")


def add_prompt(command: argparse.ArgumentParser) -> None:
    """Declare the prompt."""
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", default="", metavar="TEXT")
    prompt.add_argument("--prompt-file", metavar="FILE", help="- is standard input")


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Declare how tokens are picked and when the text ends."""
    command.add_argument("--max-tokens", type=int, default=256, metavar="N", help="default 256")
    command.add_argument("--temperature", type=float, default=0.0, metavar="X", help="0 (default) is greedy")
    command.add_argument("--top-k", type=int, default=0, metavar="N")
    command.add_argument("--top-p", type=float, default=1.0, metavar="X")
    command.add_argument("--min-p", type=float, default=0.0, metavar="X")
    command.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--stop", action="append", default=[], metavar="TEXT", help="may be given several times")
    command.add_argument("--ignore-end", action="store_true", help="the model's end tokens do not end the text")
    command.add_argument("--response-only", action="store_true", help="the base alone reads the prompt")


def open_soup(options: argparse.Namespace) -> Soup:
    """Open the soup, with a progress bar on a terminal."""
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; it must be 1 or more")
    with ProgressBar("opening") as bar:
        return Soup.open(options.soup, weights=options.weights, threads=options.threads, progress=bar)


def blend_choice(options: argparse.Namespace) -> BlendChoice:
    """Return the blend that the options name."""
    choice: BlendChoice = {}
    if options.preference is not None:
        choice["preference"] = parse_preference(options.preference)
    if options.coefficients is not None:
        choice["coefficients"] = [_number(part, "--coefficients") for part in _parts(options.coefficients)]
    if options.preset is not None:
        choice["preset"] = options.preset
    if options.live or options.folded:
        choice["kind"] = "live" if options.live else "folded"
    return choice


def parse_preference(text: str) -> Mapping[str, float]:
    """Return "brief=.7,happy=.3" as a mapping."""
    return parse_numbers(text, "--preference")


def parse_numbers(text: str, option: str) -> Mapping[str, float]:
    """Return an option's NAME=NUMBER,… as a mapping."""
    numbers: dict[str, float] = {}
    for part in _parts(text):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"{option} has “{part}”, which is not NAME=NUMBER")
        if name in numbers:
            raise UsageError(f"{option} names “{name}” twice")
        numbers[name] = _number(value, option)
    return numbers


def _parts(text: str) -> list[str]:
    return text.split(",")


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} has “{text}”, which is no number") from None


def read_prompt(options: argparse.Namespace) -> str:
    """Return the prompt, from the command line or a file."""
    if options.prompt_file is None:
        return str(options.prompt)
    try:
        if options.prompt_file == "-":
            return sys.stdin.buffer.read().decode()
        return Path(options.prompt_file).read_bytes().decode()
    except UnicodeDecodeError:
        raise UsageError(f"{options.prompt_file} is not UTF-8") from None


def generate_options(options: argparse.Namespace) -> GenerateOptions:
    """Return how text is to be generated."""
    if options.max_tokens < 0:
        raise UsageError(f"--max-tokens is {options.max_tokens}; it must be 0 or more")
    return {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repetition_penalty": options.repetition_penalty,
        "seed": options.seed,
        "stop": options.stop,
        "ignore_end": options.ignore_end,
        "response_only": options.response_only,
    }


def describe(blend: BlendInfo) -> dict[str, Any]:
    """Return a blend as the JSON outputs have it."""
    return {
        "preference": None if blend.preference is None else dict(blend.preference),
        "coefficients": list(blend.coefficients),
        "base_share": blend.base_share,
        "condition": blend.condition,
        "kind": blend.kind,
        "weights": blend.weights,
        "adjustments": list(blend.adjustments),
        "memory": blend.memory,
        "fingerprint": blend.fingerprint,
    }


def print_json(value: object) -> None:
    """Print one JSON object."""
    print(json.dumps(value, ensure_ascii=sys.stdout.encoding.lower() != "utf-8", indent=2))


def soup_folder(path: str) -> Path:
    """Return the folder that a soup's relative paths start from."""
    return Path(path) if os.path.isdir(path) else Path(path).parent
