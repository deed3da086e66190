"""What a soup keeps of its evaluation: `front.json` and `calibration.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.eval.calibration import calibrate


def manifest(soup: Path) -> Path:
    """Return the soup's JSON file."""
    file = soup / "soup.json" if soup.is_dir() else soup
    if not file.is_file():
        raise error(Status.NOT_FOUND, f"{file} does not exist, so that there is no soup to keep the front in")
    return file


def change(soup: Path, entries: Mapping[str, Any]) -> None:
    """Put entries into a soup.json, whole or not at all; a checksum of what it describes stays right."""
    file = manifest(soup)
    content = json.loads(file.read_text(encoding="utf-8"))
    content.update(entries)
    save(file, content)


def save(file: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, file)


def front_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the soup's own front: for each measured preference the normalised rewards, their standard errors, KL."""
    names = result["objectives"]
    method = result["methods"]["soup"]
    points = [
        {
            "preference": dict(zip(names, point["preference"])),
            "rewards": dict(zip(names, point["rewards"])),
            "errors": dict(zip(names, point["errors"])),
            "kl": point["kl"],
            "length": point["length"],
        }
        for point in method["points"]
        if point["own"] and point["preference"] in result["grid"]
    ]
    return {
        "front": 1,
        "unit": "deviations of the base's samples",
        "objectives": list(names),
        # "validation", "test", "train" or a file: limits are to be chosen by the first.
        "split": result["split"],
        "texts": result["texts"],
        "reference": result["reference"],
        "measures": method["own"],
        "points": points,
    }


def store(soup: Path, result: Mapping[str, Any]) -> None:
    """Write both files beside the soup.json and name them there."""
    file = manifest(soup)
    content = json.loads(file.read_text(encoding="utf-8"))
    front = front_of(result)
    by_name = {objective["name"]: objective.get("default") for objective in content["objectives"]}
    defaults = [1.0 if by_name[name] is None else float(by_name[name]) for name in front["objectives"]]
    preferences = [list(point["preference"].values()) for point in front["points"]]
    rewards = [list(point["rewards"].values()) for point in front["points"]]
    save(file.with_name("front.json"), front)
    save(file.with_name("calibration.json"), calibrate(front["objectives"], defaults, preferences, rewards))
    change(soup, {"front": "front.json", "calibration": "calibration.json"})


def load(soup: Path) -> dict[str, Any]:
    """Read the front that a soup keeps."""
    file = manifest(soup)
    name = json.loads(file.read_text(encoding="utf-8")).get("front")
    if name is None:
        raise error(Status.NOT_FOUND, f"{file} has no front; bonesoup eval measures it")
    content: dict[str, Any] = json.loads((file.parent / name).read_text(encoding="utf-8"))
    if content.get("front") != 1:
        raise error(Status.UNSUPPORTED, f"{file.parent / name} is not a front of version 1")
    return content
