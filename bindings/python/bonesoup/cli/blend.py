"""`bonesoup blend`: what a preference comes to."""

from __future__ import annotations

import argparse
from typing import Any

from bonesoup.cli import options as common
from bonesoup.progress import ProgressBar


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("blend", help="show the coefficients of a preference")
    common.add_model(command)
    common.add_blend(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the blend and show it."""
    choice = common.blend_choice(options)
    with common.open_soup(options) as soup:
        backbones = [backbone.path for backbone in soup.backbones]
        with ProgressBar("blending") as bar, soup.blend(**choice, progress=bar) as blend:
            info = blend.info
    if options.json:
        common.print_json(common.describe(info))
        return 0
    if info.preference is not None:
        print("preference    " + ", ".join(f"{name} {part:.4g}" for name, part in info.preference.items()))
    for path, coefficient in zip(backbones, info.coefficients):
        print(f"coefficient   {coefficient:+.6g}  {path}")
    print(f"base share    {info.base_share:+.6g}")
    if info.condition:
        print(f"condition     {info.condition:.4g}")
    print(f"kind          {info.kind}, {info.weights}" + "".join(f", {text}" for text in info.adjustments))
    print(f"fingerprint   {info.fingerprint}")
    return 0
