"""`bonesoup lint`: what is wrong with a soup, or likely to be."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bonesoup.cli import options as common
from bonesoup.errors import BoneSoupError
from bonesoup.soup import Soup

_ILL_CONDITIONED = 100.0
_LARGE = 3.0


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("lint", help="look for mistakes in a soup; exit status 1 where there are any")
    common.add_model(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Open everything, verify everything, and say what looks wrong."""
    vertices: dict[str, list[float]] = {}
    condition = 0.0
    with Soup.open(
        options.soup, weights=options.weights, threads=options.threads, verify=("checksums", "finite")
    ) as soup:
        problems = list(_problems(soup))
        if soup.matrix is not None:
            condition = soup.info.condition
            for objective in soup.objectives:
                try:
                    vertices[objective.name] = list(soup.solve(preference={objective.name: 1.0}).coefficients)
                except BoneSoupError as error:
                    problems.append(f"the vertex of {objective.name} cannot be reached: {error}")
        problems += [
            f"at the vertex of {name} a coefficient is {max(values, key=abs):.3g}: such stretch often breaks the text"
            for name, values in vertices.items()
            if max(map(abs, values)) > _LARGE
        ]
    problems += _file_problems(options.soup)
    hints = list(_hints(options.soup))
    if options.json:
        common.print_json({"problems": problems, "hints": hints, "condition": condition, "vertices": vertices})
    else:
        for problem in problems:
            print(problem)
        for hint in hints:
            print(f"hint: {hint}")
        if condition:
            print(f"condition of the matrix: {condition:.4g}")
        for name, values in vertices.items():
            print(f"λ at {name}: " + ", ".join(f"{value:+.4g}" for value in values))
        print(f"{len(problems)} problems" if problems else "no problems")
    return 1 if problems else 0


def _problems(soup: Soup) -> Iterator[str]:
    info = soup.info
    if not info.has_tokenizer:
        yield "the base has no tokenizer.json: the soup takes token numbers only"
    matrix = soup.matrix
    if matrix is None:
        return
    if info.condition > _ILL_CONDITIONED:
        yield f"the matrix has a condition of {info.condition:.3g}: its rows are nearly alike, and coefficients large"
    for index, row in enumerate(matrix):
        if abs(sum(row) - 1) > 1e-6:
            yield f"row {index} of the matrix sums to {sum(row):.4g}, not 1: coefficients will not sum to 1 either"
        if any(part < 0 for part in row):
            yield f"row {index} of the matrix has a negative reward weight"
    for one, other in itertools.combinations(range(len(matrix)), 2):
        if matrix[one] == matrix[other]:
            yield f"rows {one} and {other} of the matrix are equal: one of these backbones adds nothing"
    try:
        soup.solve()
    except BoneSoupError as error:
        yield f"the default preference cannot be used: {error}"
    for name in soup.presets:
        try:
            soup.solve(preset=name)
        except BoneSoupError as error:
            yield f"the preset {name} cannot be used: {error}"


def _manifest(path: str) -> tuple[Path, dict[str, Any]] | None:
    """Return the folder and content of a soup's manifest; None for a plain model folder."""
    manifest = Path(path) / "soup.json" if Path(path).is_dir() else Path(path)
    if not manifest.exists():
        return None
    return manifest.parent, json.loads(manifest.read_text(encoding="utf-8"))


def _hints(path: str) -> Iterator[str]:
    """Say what a soup may do without, and would be better with."""
    found = _manifest(path)
    if found is None:
        yield "this is a plain model folder: there is nothing to blend"
        return
    _, content = found
    if "max_abs_coefficient" not in (content.get("guard") or {}):
        yield "there is no guard.max_abs_coefficient: any coefficients may be asked for"
    if "checksums" not in content:
        yield "there are no checksums: a file that was exchanged goes unnoticed"


def _file_problems(path: str) -> Iterator[str]:
    found = _manifest(path)
    if found is None:
        return
    folder, content = found
    for key in ("front", "calibration"):
        if key in content and not (folder / content[key]).exists():
            yield f"{key} names {content[key]}, which does not exist"
    seen: dict[str, str] = {}
    for backbone in content["backbones"]:
        for file in sorted((folder / backbone["path"]).glob("*.safetensors")):
            digest = _digest(file)
            if digest in seen:
                yield f"{backbone['path']} and {seen[digest]} have the same {file.name}: two backbones are one"
            seen[digest] = backbone["path"]


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
