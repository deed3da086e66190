"""Every deterministic merge method beside mergekit's own output: which elements differ, and why each of them does.

    python merging_equal.py --models DIR [--mergekit VENV/bin/mergekit-yaml] [--only CASE]

DIR holds `base` and `tune0`, `tune1`, `tune2` (`merging.py make` writes such models of 100 MB), or four folders are
given by --base and --tune. Both sides compute in f32 and write bf16. For the last column mergekit sums over tensors in
f64 and sorts stably (`mergekit_stable.py`): then neither the processor nor the sort decides what comes out.
Exits with 1 where an element differs for none of the `REASONS`, or less than 99.99 % are equal in the last column.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import resource
import shutil
import sys
import tempfile
from typing import Any

import numpy as np

from merging import DENSITIES, WEIGHTS, Case, environment, our_command, recipe, run

MIXED = (1.5, -0.75, 0.25)
PAIR = (0.6, 0.3)
# Methods with deterministic results.
CASES = [
    Case("linear", "linear", {"weight": WEIGHTS}, has_base=False),
    Case("linear-sum", "linear", {"weight": MIXED}, {"normalize": False}, has_base=False),
    Case("task_arithmetic", "task_arithmetic", {"weight": MIXED}, {"lambda": 0.7}),
    Case("slerp", "slerp", {}, {"t": 0.3}, 1),
    Case("slerp-gradient", "slerp", {}, {"t": [0.1, 0.9]}, 1),
    Case("nuslerp", "nuslerp", {"weight": PAIR}, {}, 2, has_base=False),
    Case("nuslerp-base", "nuslerp", {"weight": PAIR}, {}, 2),
    Case("nuslerp-rows", "nuslerp", {"weight": PAIR}, {"nuslerp_flatten": False}, 2),
    Case("nuslerp-columns", "nuslerp", {"weight": PAIR}, {"nuslerp_flatten": False, "nuslerp_row_wise": True}, 2),
    Case("ties", "ties", {"weight": WEIGHTS, "density": DENSITIES}),
    Case("ties-sum", "ties", {"weight": MIXED, "density": DENSITIES}, {"normalize": False}),
    Case("ties-gradient", "ties", {"weight": WEIGHTS, "density": DENSITIES}, {"lambda": [0.5, 1.5]}),
    Case("breadcrumbs", "breadcrumbs", {"weight": WEIGHTS, "density": DENSITIES, "gamma": (0.02,) * 3}),
    Case("breadcrumbs_ties", "breadcrumbs_ties", {"weight": WEIGHTS, "density": DENSITIES}),
    Case("sce", "sce", {}, {"select_topk": 0.3}),
    Case("sce-all", "sce", {}),
    Case("model_stock", "model_stock", {}),
    Case("model_stock-rows", "model_stock", {}, {"filter_wise": True}),
    Case("passthrough", "passthrough", {"scale": (0.7,)}, {}, 1, has_base=False),
    # Layers in another order than the models': these are exact, so that no reason has to be looked for.
    Case(
        "passthrough-slices",
        "passthrough",
        {"scale": ([{"filter": "o_proj", "value": 0.5}, {"value": 1}], 1.0, 1.0)},
        has_base=False,
        slices=([(0, 0, 8)], [(1, 4, 12)], [(0, 2, 3)], [(2, 11, 12)]),
    ),
    Case("linear-slices", "linear", {"weight": WEIGHTS}, has_base=False, slices=([(0, 0, 6), (1, 6, 12)], [(2, 3, 9)])),
    Case(
        "slerp-slices", "slerp", {}, {"t": [0.1, 0.9]}, 1, slices=([(-1, 0, 5), (0, 0, 5)], [(-1, 5, 12), (0, 5, 12)])
    ),
]

# Why an element may differ; the first that holds counts.
REASONS = {
    "1 ulp": "neighbouring bf16 numbers: mergekit sums over a tensor in f32, in an order that the processor decides",
    "equal magnitudes": "its magnitude in some model is the one at which the method cuts; each side keeps other ones",
    "sign sum 0": "the task vectors cancel to 1e-6 of their magnitudes, so that rounding elects the sign",
    "cancelled": "far smaller than what it is summed from: what f32 loses, 2^-14 of the largest input, is several ulps",
}
OTHER = "other"

Array = np.ndarray[Any, Any]


def arrays(folder: pathlib.Path) -> dict[str, Array]:
    """Return a folder's tensors as they are stored, bf16 as its bits."""
    kinds = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}
    found: dict[str, Array] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            start = file.tell()
            for name, entry in header.items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    file.seek(start + begin)
                    found[name] = np.frombuffer(file.read(end - begin), dtype=kinds[entry["dtype"]])
    return found


def wide(values: Array) -> Array:
    """Return numbers in f32."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


@dataclasses.dataclass
class Inputs:
    """What goes into a merge, one tensor of all models at a time."""

    case: Case
    base: dict[str, Array]
    tunes: list[dict[str, Array]]

    def tensor(self, name: str) -> tuple[Array, list[Array]]:
        return wide(self.base[name]), [wide(tune[name]) for tune in self.tunes[: self.case.models]]

    def cuts(self, name: str) -> Array:
        """Return which elements lie at a cut between what is kept and what is not."""
        base, tunes = self.tensor(name)
        found = np.zeros(base.size, dtype=bool)
        if "density" in self.case.each:
            gammas = self.case.each.get("gamma", (0.01,) * 3) if self.case.method.startswith("bread") else (0.0,) * 3
            for tune, density, gamma in zip(tunes, self.case.each["density"], gammas, strict=True):
                size = np.abs(tune - base)
                kept = int(density * size.size)
                dropped = min(int(gamma * size.size), size.size - kept)
                ordered = np.sort(size)[::-1]
                for count in {kept + dropped, dropped} - {0, size.size}:
                    found |= size == ordered[count - 1]
        if "select_topk" in self.case.shared:
            variance = np.stack([tune - base for tune in tunes]).astype(np.float64).var(axis=0)
            count = int(np.count_nonzero(variance) * self.case.shared["select_topk"])
            cut = np.sort(variance)[::-1][max(count, 1) - 1]
            # A variance is itself a rounded sum.
            found |= np.abs(variance - cut) <= 1e-5 * cut
        return found

    def sign_sums_of_zero(self, name: str) -> Array:
        base, tunes = self.tensor(name)
        weights = self.case.each.get("weight", (1.0,) * len(tunes))
        deltas = np.stack(
            [weight * (tune - base).astype(np.float64) for weight, tune in zip(weights, tunes, strict=True)]
        )
        return np.abs(deltas.sum(axis=0)) <= 1e-6 * np.abs(deltas).sum(axis=0)

    def largest(self, name: str) -> Array:
        base, tunes = self.tensor(name)
        return np.abs(np.stack([base, *tunes])).max(axis=0)


def steps(bits: Array) -> Array:
    """Return bf16 numbers as whole ones, neighbours next to each other."""
    whole = bits.astype(np.int32)
    return np.where(whole & 0x8000, -(whole & 0x7FFF), whole)


def explain(name: str, ours: Array, theirs: Array, inputs: Inputs) -> dict[str, int]:
    """Count the elements that differ by why they do."""
    places = np.flatnonzero(ours != theirs)
    counts = dict.fromkeys([*REASONS, OTHER], 0)
    if not places.size:
        return counts
    a, b = ours[places], theirs[places]
    distance = np.abs(wide(a).astype(np.float64) - wide(b))
    ulp = np.ldexp(1.0, np.frexp(np.maximum(np.abs(wide(a)), np.abs(wide(b))))[1] - 8)
    holds = {
        "1 ulp": np.abs(steps(a) - steps(b)) <= 1,
        "equal magnitudes": inputs.cuts(name)[places],
        "sign sum 0": inputs.sign_sums_of_zero(name)[places],
        "cancelled": distance <= ulp + 2.0**-14 * inputs.largest(name)[places],
    }
    left = np.ones(places.size, dtype=bool)
    for reason in REASONS:
        counts[reason] = int((left & holds[reason]).sum())
        left &= ~holds[reason]
    counts[OTHER] = int(left.sum())
    return counts


def pairs(ours: pathlib.Path, theirs: pathlib.Path) -> list[tuple[str, Array, Array]]:
    """Return the tensors of both sides; a tied model's one matrix may be under its other name."""
    left = arrays(ours)
    found = []
    for name, values in arrays(theirs).items():
        other = "lm_head.weight" if "embed" in name else "model.embed_tokens.weight"
        mine = left.get(name, left.get(other))
        if mine is None or mine.size != values.size or {mine.dtype, values.dtype} != {np.dtype(np.uint16)}:
            raise SystemExit(f"{ours} has no {name} like mergekit's")
        found.append((name, mine, values))
    return found


def readable(base: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    """Return the base, or a copy for mergekit where a tied model's one matrix is stored as lm_head.weight."""
    path = base / "model.safetensors"
    if not path.exists():
        return base
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    if "model.embed_tokens.weight" in header or "lm_head.weight" not in header:
        return base
    header["model.embed_tokens.weight"] = header.pop("lm_head.weight")
    text = json.dumps(header).encode()
    copy = work / "base"
    shutil.copytree(base, copy)
    (copy / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[start:])
    return copy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, help="a folder with base, tune0, tune1, tune2")
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--tune", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--mergekit", default="mergekit-yaml", help="of its own environment")
    parser.add_argument("--work", help="where results are written; default: the system's temporary folder")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    base = options.base or options.models / "base"
    tunes = options.tune or [options.models / f"tune{index}" for index in range(3)]
    mergekit = shutil.which(options.mergekit) or options.mergekit
    stable = [
        str(pathlib.Path(mergekit).parent / "python"),
        str(pathlib.Path(__file__).with_name("mergekit_stable.py")),
    ]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = False
    print("| case | elements | equal | " + " | ".join([*REASONS, OTHER]) + " | equal, f64 sums and stable sorts |")
    print("|---|" + "---|" * (len(REASONS) + 4))
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = pathlib.Path(folder)
        known = readable(base, work)
        stored = arrays(known), [arrays(tune) for tune in tunes]
        ours, theirs = work / "ours", work / "theirs"
        for case in CASES:
            if options.only and case.name not in options.only:
                continue
            config = work / "config.yml"
            config.write_text(recipe(case, base, tunes, "float32"))
            run(our_command(config, ours), environment())
            config.write_text(recipe(case, known, tunes, "float32"))
            run([mergekit, str(config), str(theirs), "--no-write-model-card"], environment())
            total = equal = 0
            counts = dict.fromkeys([*REASONS, OTHER], 0)
            for name, mine, values in pairs(ours, theirs):
                total += mine.size
                equal += int((mine == values).sum())
                for reason, count in explain(name, mine, values, Inputs(case, *stored)).items():
                    counts[reason] += count
            shutil.rmtree(theirs)
            # Methods that only sum element by element are defined by their f32.
            sums = case.method in ("slerp", "nuslerp", "sce", "model_stock")
            config.write_text(recipe(case, known, tunes, "float64" if sums else "float32"))
            run([*stable, str(config), str(theirs), "--no-write-model-card"], environment())
            exact = sum(int((mine == values).sum()) for _, mine, values in pairs(ours, theirs)) / total
            shutil.rmtree(theirs)
            shutil.rmtree(ours)
            failed |= counts[OTHER] > 0 or exact < 0.9999
            numbers = " | ".join(f"{count:,}" for count in counts.values())
            print(f"| {case.name} | {total:,} | {equal / total:.4%} | {numbers} | {exact:.4%} |", flush=True)
    for reason, text in REASONS.items():
        print(f"- {reason}: {text}.")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
