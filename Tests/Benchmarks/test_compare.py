"""The parts of the comparison that need no peer."""

from __future__ import annotations

import math
import pathlib
import re

import pytest

from cells import CLASSES, SHAPES, THREADS, WORK, all_cells, chosen
from processes import Failed, Worker, run
from ratios import ratio
from results import Results, best_peer, render


def test_cells_are_chosen_by_pattern() -> None:
    assert len({cell.name for cell in all_cells()}) == len(all_cells())
    assert len(chosen(["*/decode"])) == len(SHAPES) * len(CLASSES) * len(THREADS)
    assert [cell.name for cell in chosen(["qwen/bf16/2/decode"])] == ["qwen/bf16/2/decode"]
    assert chosen(["nothing"]) == []
    assert {cell.work for cell in all_cells()} == set(WORK)


def test_the_interval_holds_the_ratio_and_shrinks_with_agreement() -> None:
    even = ratio([2, 4, 6, 8, 10, 12, 14], [1, 2, 3, 4, 5, 6, 7])
    assert math.isclose(even.value, 2) and math.isclose(even.low, 2) and math.isclose(even.high, 2)
    spread = ratio([2, 4, 3, 8, 5, 12, 7], [1, 2, 3, 4, 5, 6, 7])
    assert spread.low < spread.value < spread.high
    assert math.isnan(ratio([], []).value)


def test_results_are_kept_and_rendered(tmp_path: pathlib.Path) -> None:
    results = Results(tmp_path / "results.json")
    runs = {
        "bonesoup bf16": [{"decode": 40.0}, {"decode": 42.0}],
        "llama.cpp -fa 1": [{"decode": 32.0}, {"decode": 33.0}],
        "ik_llama.cpp -rtr 1": [{"decode": 20.0}, {"decode": 21.0}],
    }
    cell = chosen(["qwen/bf16/2/decode"])[0]
    results.cells[cell.name] = {"runs": runs, "shares": {"bonesoup bf16": 0.95}, "missing": {"OpenVINO": "not built"}}
    results.save()
    again = Results(tmp_path / "results.json")
    assert again.cells == results.cells
    assert best_peer(cell, again.cells[cell.name]) == "llama.cpp -fa 1"
    text = render(again)
    assert re.search(r"\| qwen \| bf16 \| 2 \| 41 \| 32.5 \| 20.5 \| 1.26 \[1.25, 1.27\] \(2×\) \| 95% \|", text)
    assert "- OpenVINO: not built" in text


def test_programs_that_fail_say_so() -> None:
    assert run(["echo", "yes"], 1)[0] == "yes\n"
    with pytest.raises(Failed, match="sh ended with 3: no reason"):
        run(["sh", "-c", "echo no reason >&2; exit 3"], 1)
    worker = Worker(["sh", "-c", "echo gone >&2; exit 1"], 1)
    with pytest.raises(Failed, match="gone"):
        worker.ask(work="open")
    worker.close()
