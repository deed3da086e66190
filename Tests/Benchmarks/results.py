"""What was measured, kept as JSON, and the report made of it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from cells import CLASSES, SHAPES, THREADS, WORK, Cell, all_cells
from ratios import median, ratio
from sides import MAIN

Cells = dict[str, dict[str, Any]]
"""By cell: `runs` (by contender, a list of metrics, one per round), `limits`, `missing` (by side, the reason)."""


class Results:
    """A file of results; what is there is kept, cell by cell."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.cells: Cells = self.data.setdefault("cells", {})

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.data, indent=1, sort_keys=True) + "\n")
        partial.replace(self.path)


def metric(cell: Cell) -> str:
    """What a cell is ranked by."""
    return MAIN.get(cell.work, cell.work)


def falls(cell: Cell) -> bool:
    """Whether less is better."""
    return cell.work in ("first", "accuracy")


def values(entry: dict[str, Any], contender: str, name: str) -> list[float]:
    """One metric of a contender, by round; rounds in which it failed are left out of the end."""
    return [run[name] for run in entry["runs"].get(contender, []) if name in run]


def ours(entry: dict[str, Any]) -> list[str]:
    """The names of our contenders."""
    return [name for name in entry["runs"] if name.startswith("bonesoup")]


def best_peer(cell: Cell, entry: dict[str, Any]) -> str | None:
    """The peer with the best median."""
    peers = [name for name in entry["runs"] if name not in ours(entry) and values(entry, name, metric(cell))]
    pick = min if falls(cell) else max
    return pick(peers, key=lambda name: median(values(entry, name, metric(cell)))) if peers else None


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def limit(cell: Cell, entry: dict[str, Any], contender: str) -> float | None:
    """Our share of the machine's limit, where one was told."""
    shares = entry.get("shares", {}).get(contender)
    return float(shares) if shares is not None else None


def line(cell: Cell, entry: dict[str, Any], sides: list[str]) -> list[list[str]]:
    """The rows of a cell: one for each of our contenders, and for `batch` one with a preference for each session."""
    rows = []
    peer = best_peer(cell, entry)
    for contender in ours(entry):
        names = [metric(cell)] + (["mixed"] if cell.work == "batch" else [])
        for name in names:
            mine = values(entry, contender, name)
            row = [cell.shape, contender.removeprefix("bonesoup "), str(cell.threads)]
            if cell.work == "batch":
                row[1] += ", 16 preferences" if name == "mixed" else ""
            row.append(number(median(mine)) if mine else "–")
            for side in sides:
                found = [other for other in entry["runs"] if other.startswith(side + " ")]
                numbers = [number(median(values(entry, other, metric(cell)))) for other in found]
                row.append(numbers[0] if numbers else "–")
            theirs = values(entry, peer, metric(cell)) if peer else []
            row.append(f"{ratio(mine, theirs)} ({len(mine)}×)" if mine and theirs else "–")
            share = limit(cell, entry, contender)
            row.append(f"{share:.0%}" if share and name != "mixed" else "")
            rows.append(row)
    return rows


def losses(cells: Cells) -> list[str]:
    """The table of what adapters cost each side beside its own base."""
    rows = ["| shape | class | threads | side | decode | prefill | a change costs |", "|---|---|---|---|---|---|---|"]
    for cell in all_cells():
        entry = cells.get(cell.name)
        if cell.work != "live" or not entry:
            continue
        for contender in entry["runs"]:
            if not values(entry, contender, metric(cell)):
                continue
            told = []
            for work in ("decode", "prefill"):
                pairs = ratio(values(entry, contender, f"live {work}"), values(entry, contender, f"base {work}"))
                told.append(
                    f"{100 * (pairs.value - 1):+.1f} % [{100 * (pairs.low - 1):+.1f}, {100 * (pairs.high - 1):+.1f}]"
                )
            change = values(entry, contender, "change")
            told.append(f"{1e3 * median(change):.2f} ms" if change else "–")
            rows.append(f"| {cell.shape} | {cell.format} | {cell.threads} | {contender} | {' | '.join(told)} |")
    return rows


def render(results: Results) -> str:
    """The report, as Markdown."""
    cells = results.cells
    text = [
        "# Results",
        "",
        "Written by `compare.py`; how to read it is in [README.md](README.md).",
        "",
        f"- Machine: {results.data.get('machine', 'unknown')}",
        f"- Command: `{results.data.get('command', '')}`",
        f"- Date: {results.data.get('date', '')}",
        "",
    ]
    for work, what in WORK.items():
        present = [cell for cell in all_cells() if cell.work == work and cell.name in cells]
        if not present:
            continue
        sides = ["llama.cpp", "ik_llama.cpp", "OpenVINO", "CTranslate2"]
        sides = [s for s in sides if any(n.startswith(s + " ") for c in present for n in cells[c.name]["runs"])]
        head = ["shape", "format", "threads", "bonesoup", *sides, "ratio to the best peer [95 %]", "of the limit"]
        text += [f"## {work}: {what}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for cell in present:
            text += ["| " + " | ".join(row) + " |" for row in line(cell, cells[cell.name], sides)]
        text.append("")
        if work == "live":
            text += ["Against the same side without adapters:", "", *losses(cells), ""]
    options = sorted({name for entry in cells.values() for name in entry["runs"] if not name.startswith("bonesoup")})
    text += [
        "## Options of the peers",
        "",
        "The best of each peer's, chosen by trying in each cell: " + "; ".join(options) + ".",
        "",
    ]
    missing = sorted({f"{side}: {why}" for entry in cells.values() for side, why in entry.get("missing", {}).items()})
    if missing:
        text += ["## Missing", "", *[f"- {reason}" for reason in missing], ""]
    total = len(SHAPES) * len(CLASSES) * len(THREADS)
    text.append(f"{len(cells)} cells of {len(all_cells())} (decode: {total}).")
    return "\n".join(text) + "\n"
