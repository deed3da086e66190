"""What a soup costs beside the alternatives, from the logs of its training."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.soup import Soup

_CHANGES = 20


@dataclasses.dataclass(frozen=True)
class Run:
    """One training, as `runs/NAME/run.json` has it."""

    name: str
    seconds: float
    # Of the first process; the others do the same work.
    cpu_seconds: float
    processes: int
    bytes: int


def runs(soup: Path) -> list[Run]:
    """Read the logs beside a soup.json."""
    folder = soup if soup.is_dir() else soup.parent
    keys = [field.name for field in dataclasses.fields(Run)]
    found = []
    for file in sorted(folder.glob("runs/*/run.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        found.append(Run(**{key: content[key] for key in keys}))
    if not found:
        raise error(Status.NOT_FOUND, f"{folder / 'runs'} has no logs of a training by bonesoup train")
    return found


def cost(soup: Path, *, changes: Sequence[int] = (1, 10, 100, 1000)) -> dict[str, Any]:
    """Return hours of training, bytes stored and seconds per change of preference, of three ways to serve preferences:
    the soup; `separate`, a model per objective, each at a fixed mix; and `retraining`, a training per preference.

    A training costs what those of the soup did on average, as budget and data are the same. Times of a change are
    measured here: a live blend, a folded one, and opening a model from files that are in the page cache.
    """
    trainings = runs(soup)
    hour = statistics.fmean(run.cpu_seconds * run.processes for run in trainings) / 3600
    wall = statistics.fmean(run.seconds * run.processes for run in trainings) / 3600
    folder = soup if soup.is_dir() else soup.parent
    content = json.loads((soup / "soup.json" if soup.is_dir() else soup).read_text(encoding="utf-8"))
    base = _size(folder / content["base"])
    adapter = statistics.fmean(run.bytes for run in trainings)
    objectives, backbones = len(content["objectives"]), len(trainings)
    switch = _switching(soup)
    ways = {
        "soup": _way(
            backbones, hour, wall, base + sum(run.bytes for run in trainings), switch["live"] or switch["folded"]
        ),
        "separate": _way(objectives, hour, wall, objectives * (base + adapter), switch["open"]),
    }
    for count in changes:
        ways[f"retraining, {count} preferences"] = _way(count, hour, wall, base + count * adapter, wall * 3600)
    return {
        "trainings": [dataclasses.asdict(run) for run in trainings],
        "cpu_hours": sum(run.cpu_seconds * run.processes for run in trainings) / 3600,
        "switching_seconds": switch,
        "ways": ways,
        # More preferences than this are cheaper with the soup; it has all of them.
        "break_even_preferences": backbones,
    }


def _way(trainings: int, hour: float, wall: float, size: float, switch: float | None) -> dict[str, Any]:
    return {
        "trainings": trainings,
        "cpu_hours": trainings * hour,
        "device_hours": trainings * wall,
        "bytes": round(size),
        "switch_seconds": switch,
    }


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _switching(path: Path) -> dict[str, float | None]:
    """Return medians over changes of the preference."""
    opened, live, folded = [], [], []
    for _ in range(3):
        start = time.perf_counter()
        Soup.open(path).close()
        opened.append(time.perf_counter() - start)
    with Soup.open(path) as soup:
        count = len(soup.backbones)
        for change in range(_CHANGES):
            coefficients = [(change + 1) / (_CHANGES + place) for place in range(count)]
            start = time.perf_counter()
            soup.blend(coefficients=coefficients, kind="folded").close()
            folded.append(time.perf_counter() - start)
            if soup.info.live:
                start = time.perf_counter()
                soup.blend(coefficients=coefficients, kind="live").close()
                live.append(time.perf_counter() - start)
    return {
        "live": statistics.median(live) if live else None,
        "folded": statistics.median(folded),
        "open": statistics.median(opened),
    }
