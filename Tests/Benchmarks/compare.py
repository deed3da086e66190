"""Compare BoneSoup with llama.cpp, ik_llama.cpp, OpenVINO GenAI and CTranslate2 on this machine.

    python Tests/Benchmarks/compare.py --cells 'qwen/bf16/2/decode'
    python Tests/Benchmarks/compare.py --cells 'qwen/*' 'llama/*/2/*' --pairs 9

Installs and builds the peers, makes and converts the models, and runs all sides in turns. README.md says more.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import shlex
import sys
import time
from typing import Any

from accuracy import Accuracy
from cells import Cell, all_cells, chosen
from install import Cache
from ratios import median, ratio
from results import Results, best_peer, falls, metric, ours, render, values
from sides import Contender, CTranslate2, Ik, Llama, OpenVINO, Ours, Side, attempt

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cells", nargs="+", default=["qwen/*/decode"], metavar="PATTERN", help="SHAPE/CLASS/THREADS/WORK"
    )
    parser.add_argument("--list", action="store_true", help="list the cells that the patterns match")
    parser.add_argument("--pairs", type=int, default=7, help="rounds in which all sides take turns (7)")
    parser.add_argument(
        "--tries", type=int, default=2, help="of each set of a peer's options (2); 0: only the first set"
    )
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="only these peers")
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / ".build/benchmarks", help="peers and models")
    parser.add_argument(
        "--shared", type=pathlib.Path, default=ROOT.parent / "shared", help="holds tools/make_models.py"
    )
    parser.add_argument(
        "--bench", type=pathlib.Path, default=ROOT / ".build/release/bonesoup-bench", help="our program"
    )
    parser.add_argument("--results", type=pathlib.Path, help="JSON of what was measured (results.json in the cache)")
    parser.add_argument("--report", type=pathlib.Path, help="where the tables go; not written without")
    parser.add_argument("--again", action="store_true", help="measure cells that are in the results anew")
    parser.add_argument("--jobs", type=int, default=1, help="of building the peers (1)")
    parser.add_argument("--render", action="store_true", help="measure nothing, only write the report")
    return parser.parse_args()


class Comparison:
    """All sides, and the results so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        cache = Cache(options.cache, options.shared, options.jobs)
        self.results = Results(options.results or cache.folder / "results.json")
        self.ours = Ours(cache, options.bench)
        self.accuracy = Accuracy(cache, ROOT)
        peers: list[Side] = [Llama(cache), Ik(cache), OpenVINO(cache), CTranslate2(cache)]
        wanted = options.sides
        self.peers = [
            side for side in peers if not wanted or any(side.name.lower().startswith(w.lower()) for w in wanted)
        ]

    def measure(self, cell: Cell) -> None:
        """Runs a cell: each side's best options first, then all in turns."""
        begin = time.monotonic()
        entry = self.results.cells.get(cell.name, {"runs": {}, "missing": {}})
        if cell.work == "accuracy":
            entry["runs"], entry["missing"] = self.accuracy.measure(cell), {}
        else:
            entry["runs"], entry["missing"] = {}, {}
            teams = self.teams(cell, entry)
            shares = self.shares(cell)
            for turn in range(self.options.pairs):
                shift = turn % max(1, len(teams))
                for side, contender in teams[shift:] + teams[:shift]:
                    told = attempt(side, cell, contender)
                    if isinstance(told, str):
                        entry["missing"][contender.name] = told
                    entry["runs"].setdefault(contender.name, []).append({} if isinstance(told, str) else told)
            for name, share in self.shares(cell).items():
                shares.setdefault(name, []).extend(share)
            entry["shares"] = {name: median(share) for name, share in shares.items() if share}
        for side in self.peers:
            side.close()
        self.results.cells[cell.name] = entry
        self.results.save()
        self.tell(cell, entry, time.monotonic() - begin)

    def teams(self, cell: Cell, entry: dict[str, Any]) -> list[tuple[Side, Contender]]:
        """Ours, and of each peer the options that were the fastest when tried; without tries its first."""
        teams: list[tuple[Side, Contender]] = [(self.ours, contender) for contender in self.ours.contenders(cell)]
        tries = self.options.tries
        for side in self.peers:
            tried: list[tuple[float, Contender]] = []
            for contender in side.contenders(cell)[: None if tries else 1]:
                runs = [attempt(side, cell, contender)]
                if isinstance(runs[0], str):
                    entry["missing"][contender.name] = runs[0]
                    continue
                runs += [attempt(side, cell, contender) for _ in range(1, tries)]
                good = [run[metric(cell)] for run in runs if not isinstance(run, str)]
                tried.append((min(good) if falls(cell) else max(good), contender))
            if tried:
                pick = min if falls(cell) else max
                teams.append((side, pick(tried, key=lambda pair: pair[0])[1]))
        return teams

    def shares(self, cell: Cell) -> dict[str, list[float]]:
        """What we reach of the machine's limit, both measured in one run."""
        told = {
            contender.name: attempt(self.ours, cell, contender, limits=True) for contender in self.ours.contenders(cell)
        }
        return {
            name: [run["share of limit"]] if not isinstance(run, str) and "share of limit" in run else []
            for name, run in told.items()
        }

    def tell(self, cell: Cell, entry: dict[str, Any], seconds: float) -> None:
        """Prints a cell."""
        print(f"{cell.name}  ({seconds:.0f} s)")
        peer = best_peer(cell, entry)
        for name in entry["runs"]:
            numbers = values(entry, name, metric(cell))
            beside = ""
            if peer and name in ours(entry):
                beside = f"  {ratio(numbers, values(entry, peer, metric(cell)))} × {peer}"
                share = entry.get("shares", {}).get(name)
                beside += f"  {share:.0%} of the limit" if isinstance(share, float) else ""
            print(f"  {name:34} {median(numbers):10.4g}{beside}", flush=True)
        for name, why in entry["missing"].items():
            print(f"  {name:34} missing: {why}")


def main() -> None:
    """Does what the command line asks for."""
    options = parse()
    cells = chosen(options.cells)
    if options.list or not cells:
        print("\n".join(cell.name for cell in cells or all_cells()))
        sys.exit(0 if cells else "no cell matches; above are all")
    comparison = Comparison(options)
    results = comparison.results
    if not options.render:
        if not options.bench.exists():
            sys.exit(f"{options.bench} is not there: swift build -c release --product bonesoup-bench")
        results.data["command"] = shlex.join(["python", "Tests/Benchmarks/compare.py", *sys.argv[1:]])
        results.data["machine"] = comparison.ours.machine(cells[0])
        results.data["date"] = datetime.date.today().isoformat()
        for cell in cells:
            if options.again or cell.name not in results.cells:
                comparison.measure(cell)
    if options.report:
        options.report.write_text(render(results))


if __name__ == "__main__":
    main()
