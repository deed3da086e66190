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
from bonesoup.cli.licence import licence
from bonesoup.errors import BoneSoupError, CancelledError
from bonesoup.soup import Soup

_ILL_CONDITIONED = 100.0
_LARGE = 3.0
_LARGEST_SCALE = 8.0


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("lint", help="look for mistakes in a soup; exit status 1 where there are any")
    common.add_model(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Open everything, verify everything, and say what looks wrong.

    A soup that cannot be opened, but whose manifest can be read, has that as a problem, beside the others.
    """
    vertices: dict[str, list[float]] = {}
    condition = 0.0
    problems: list[str] = []
    try:
        soup = Soup.open(options.soup, weights=options.weights, threads=options.threads, verify=("checksums", "finite"))
    except BoneSoupError as error:
        if isinstance(error, CancelledError) or not _has_manifest(options.soup):
            raise
        problems.append(f"the soup cannot be opened: {error}")
    else:
        with soup:
            problems += _problems(soup)
            condition, vertices = _vertices(soup, problems)
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


def _vertices(soup: Soup, problems: list[str]) -> tuple[float, dict[str, list[float]]]:
    """Return the matrix's condition and the coefficients where one objective is everything."""
    vertices: dict[str, list[float]] = {}
    if soup.matrix is None:
        return 0.0, vertices
    for objective in soup.objectives:
        try:
            values = list(soup.solve(preference={objective.name: 1.0}).coefficients)
        except BoneSoupError as error:
            problems.append(f"the vertex of {objective.name} cannot be reached: {error}")
            continue
        vertices[objective.name] = values
        if max(map(abs, values)) > _LARGE:
            worst = max(values, key=abs)
            problems.append(f"at the vertex of {objective.name} a coefficient is {worst:.3g}: that breaks texts")
    return soup.info.condition, vertices


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


def _has_manifest(path: str) -> bool:
    """Return whether the manifest is there and lists backbones, whatever else is wrong with the soup."""
    try:
        found = _manifest(path)
    except ValueError:
        return False
    return found is not None and isinstance(found[1], dict) and isinstance(found[1].get("backbones"), list)


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
    yield from _licence_hints(found[0], content)


def _licence_hints(folder: Path, content: dict[str, Any]) -> Iterator[str]:
    base = licence(folder / str(content.get("base", "")))
    if base is None:
        yield "the base states no licence, in its card, its config.json or a licence file"
    for backbone in content.get("backbones") or []:
        path = str(backbone.get("path", "")) if isinstance(backbone, dict) else ""
        own = licence(folder / path)
        if own is not None and base is not None and own != base:
            yield f"the backbone {path} is under {own}, the base under {base}: what may a blend be used for?"


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
        path = str(backbone.get("path", "")) if isinstance(backbone, dict) else ""
        if not (folder / path).exists():
            yield f"the backbone {path} does not exist"
            continue
        yield from _adapter_problems(folder / path, path)
        for file in sorted((folder / path).glob("*model*.safetensors")):
            digest = _digest(file)
            if digest in seen:
                yield f"{path} and {seen[digest]} have the same {file.name}: two backbones are one"
            seen[digest] = path


def _adapter_problems(folder: Path, path: str) -> Iterator[str]:
    config = folder / "adapter_config.json"
    if not config.exists():
        return
    content = json.loads(config.read_text(encoding="utf-8"))
    alpha, rank = content.get("lora_alpha"), content.get("r")
    if not isinstance(alpha, (int, float)) or not isinstance(rank, int) or rank <= 0 or content.get("use_rslora"):
        return
    if not 0 < alpha / rank <= _LARGEST_SCALE:
        yield f"{path} has a scale α/r of {alpha / rank:.3g}: was it trained with that?"


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
