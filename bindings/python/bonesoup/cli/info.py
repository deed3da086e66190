"""`bonesoup info`: what a soup or a model is."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.cli.licence import licence

# Of a weight, scales included; the embedding is in q8_0 where the rest is in q4_0.
_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q8_128": 130 / 128, "q4_0": 18 / 32}


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("info", help="show architecture, parameters, memory and licence")
    common.add_model(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the facts."""
    with common.open_soup(options) as soup:
        facts = dataclasses.asdict(soup.info)
        objectives = [dataclasses.asdict(objective) for objective in soup.objectives]
        backbones = [dataclasses.asdict(backbone) for backbone in soup.backbones]
        presets = {name: dict(preference) for name, preference in soup.presets.items()}
        matrix = soup.matrix
    folder = base_folder(options.soup)
    for backbone in backbones:
        backbone["licence"] = licence(common.soup_folder(options.soup) / backbone["path"])
    sizes = {name: facts["parameters"] * size for name, size in _BYTES.items()}
    sizes["q4_0"] += facts["vocabulary"] * facts["hidden"] * (_BYTES["q8_0"] - _BYTES["q4_0"])
    facts["memory_by_format"] = {name: round(size) for name, size in sizes.items()}
    facts["licence"] = licence(folder)
    facts["files"] = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    facts |= {"objectives": objectives, "backbones": backbones, "presets": presets}
    facts["matrix"] = None if matrix is None else [list(row) for row in matrix]
    if options.json:
        common.print_json(facts)
        return 0
    print(
        f"model         {facts['model_type']}, {facts['layers']} layers of {facts['hidden']}, "
        f"{facts['heads']} heads over "
        f"{facts['kv_heads']} of {facts['head_size']}, vocabulary {facts['vocabulary']}, context {facts['context']}"
    )
    print(f"parameters    {facts['parameters']:,}")
    print(
        "memory        "
        + ", ".join(f"{n} {size / 2**20:,.1f} MiB" for n, size in facts["memory_by_format"].items())
        + f"; now {facts['weights']}, {facts['memory'] / 2**20:,.1f} MiB with adapters"
    )
    print(f"licence       {facts['licence'] or 'not stated'}")
    print("files         " + ", ".join(f"{name} {size:,}" for name, size in facts["files"].items()))
    for objective in objectives:
        print(
            f"objective     {objective['name']}: default {objective['default']:.3g}, "
            f"{objective['minimum']:.3g} to {objective['maximum']:.3g}"
            + (f"; {objective['description']}" if objective["description"] else "")
        )
    for backbone in backbones:
        kind = f"LoRA of rank {backbone['rank']}" if backbone["low_rank"] else "full checkpoint"
        licensed = f", {backbone['licence']}" if backbone["licence"] else ""
        print(f"backbone      {backbone['path']}: {kind}, {backbone['parameters']:,} parameters{licensed}")
    for name, preference in presets.items():
        print(f"preset        {name}: " + ", ".join(f"{key} {part:.3g}" for key, part in preference.items()))
    return 0


def base_folder(path: str) -> Path:
    """Return the base model's folder of a soup that was opened."""
    file = Path(path)
    if file.is_dir():
        file = file / "soup.json"
        if not file.exists():
            return Path(path)
    base = json.loads(file.read_text(encoding="utf-8"))["base"]
    return file.parent / str(base)
