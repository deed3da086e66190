"""Merges of files beside mergekit: how long, and in how much memory; and blends by methods in memory.

    python merging.py speed --models DIR [--runs N] [--only METHOD]    files to files, both sides in turns
    python merging.py memory --models DIR [--runs N] [--only METHOD] [--bench PATH]   blends of a soup in memory
    python merging.py make DIR                                         a random model of 100 MB with three fine-tunes

DIR holds `base` and `tune0`, `tune1`, `tune2` (or any four folders are given by --base and --tune). mergekit runs in
its own environment (--mergekit: the path of its mergekit-yaml). `merging_equal.py` compares what comes out;
`bonesoup-bench --only limits` measures the memory itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

# Weights and densities of the three models, as YAML has them.
WEIGHTS = (0.5, 0.3, 0.4)
DENSITIES = (0.5, 0.4, 0.6)


@dataclasses.dataclass(frozen=True)
class Case:
    """A merge of some models."""

    name: str
    method: str
    # Parameters of each model.
    each: dict[str, Sequence[float]]
    shared: dict[str, Any] = dataclasses.field(default_factory=dict)
    models: int = 3
    has_base: bool = True
    # Instead of whole models, slices of (tune, or -1 the base; first layer; layer behind the last).
    slices: Sequence[Sequence[tuple[int, int, int]]] = ()


def recipe(case: Case, base: pathlib.Path, tunes: Sequence[pathlib.Path], dtype: str = "float32") -> str:
    """Return mergekit's YAML of a case, as JSON, which is YAML."""
    models: list[dict[str, Any]] = [
        {"model": str(tunes[index]), "parameters": {name: values[index] for name, values in case.each.items()}}
        for index in range(case.models)
    ]
    if case.method == "slerp":
        models.insert(0, {"model": str(base)})
    sources = [
        [
            {
                "model": str(base if index < 0 else tunes[index]),
                "layer_range": [first, end],
                "parameters": {name: values[index] for name, values in case.each.items()} if index >= 0 else {},
            }
            for index, first, end in slice
        ]
        for slice in case.slices
    ]
    document: dict[str, Any] = {
        "merge_method": case.method,
        **({"slices": [{"sources": each} for each in sources]} if sources else {"models": models}),
        "parameters": case.shared,
        "dtype": dtype,
        "out_dtype": "bfloat16",
    }
    if case.has_base:
        document["base_model"] = str(base)
    return json.dumps(document)


@dataclasses.dataclass(frozen=True, order=True)
class Cost:
    """What a process took."""

    seconds: float
    # Of all its threads.
    processor_seconds: float
    # Peak resident memory.
    bytes: int


def run(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command that must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.decode(errors='replace')[-3000:]}")
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def our_command(config: pathlib.Path, out: pathlib.Path) -> list[str]:
    return [sys.executable, "-m", "bonesoup", "merge", str(config), str(out), "--no-sync"]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


SPEED = [
    Case("linear", "linear", {"weight": WEIGHTS}, has_base=False),
    Case("task_arithmetic", "task_arithmetic", {"weight": WEIGHTS}),
    *(Case(name, name, {"weight": WEIGHTS, "density": DENSITIES}) for name in ("ties", "dare_ties", "della")),
]


def speed(options: argparse.Namespace, base: pathlib.Path, tunes: list[pathlib.Path]) -> None:
    """Time both sides in turns; neither waits for the disk."""
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        config, ours, theirs = (pathlib.Path(folder) / name for name in ("config.yml", "ours", "theirs"))
        for case in SPEED:
            if options.only and case.name not in options.only:
                continue
            config.write_text(recipe(case, base, tunes))
            sides = {
                "bonesoup": our_command(config, ours),
                "mergekit": [options.mergekit, str(config), str(theirs), "--no-write-model-card"],
            }
            best: dict[str, Cost] = {}
            for _ in range(options.runs):
                for side, command in sides.items():
                    cost = run(command, environment())
                    best[side] = min(best.get(side, cost), cost)
                    for out in (ours, theirs):
                        shutil.rmtree(out, ignore_errors=True)
            texts = [
                f"{side} {cost.seconds:7.2f} s ({cost.processor_seconds:.2f} of processors), {cost.bytes >> 20:6} MiB"
                for side, cost in best.items()
            ]
            mine, peer = best["bonesoup"], best["mergekit"]
            ratio = f"{peer.seconds / mine.seconds:5.1f} x, memory {mine.bytes / peer.bytes:.1%}"
            print(f"{case.name:16} {'; '.join(texts)}; {ratio}", flush=True)


def memory(options: argparse.Namespace, base: pathlib.Path, tunes: list[pathlib.Path]) -> None:
    """Time blends in memory: the models' bytes read once and the result's written once, per second."""
    import bonesoup

    def limit() -> float:
        """The bandwidth of a merge of three streams at this moment, bytes a second; NaN without the program."""
        if not options.bench:
            return math.nan
        command = [options.bench, str(base), "--only", "limits", "--json"]
        rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["rows"]
        return next(float(row["value"]) * 1e9 for row in rows if row["name"].startswith("merge"))

    size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    with bonesoup.Soup.open(base, weights="bf16") as soup:
        for tune in tunes:
            soup.add_backbone(tune)
        for case in SPEED:
            if options.only and case.name not in options.only:
                continue
            method: Any = case.method
            if "density" in case.each:
                densities = (bonesoup.Setting("density", value, model=i) for i, value in enumerate(DENSITIES))
                method = bonesoup.MethodChoice(case.method, tuple(densities))
            best = processors = float("inf")
            shares = []
            for turn in range(options.runs + 1):
                around = limit()
                start, used = time.monotonic(), time.process_time()
                # Powers of two that sum to 1: the plain sum does not read the base.
                soup.blend(coefficients=[0.5, 0.25, 0.25], kind="folded", method=method).close()
                took = time.monotonic() - start
                best = min(best, took)
                processors = min(processors, time.process_time() - used)
                moved = size * (len(tunes) + (1 if case.has_base else 0) + 1)
                if turn > 0:
                    shares.append(moved / took / max(around, limit()))
            share = "" if math.isnan(shares[0]) else f", {statistics.median(shares):.0%} of the limit beside it"
            print(
                f"{case.name:16} {best:6.2f} s ({processors:.2f} of processors), "
                f"{moved / best / 1e9:5.1f} GB/s read and written{share}",
                flush=True,
            )


def make(folder: pathlib.Path) -> None:
    """Write a random Llama of 100 MB and three fine-tunes of it, in bf16, f16 and f32, one of them in shards."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8000, hidden_size=512, intermediate_size=1408, num_hidden_layers=12, num_attention_heads=8,
        num_key_value_heads=4, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    model.to(torch.bfloat16).save_pretrained(folder / "base")
    base = {name: value.float() for name, value in model.state_dict().items()}
    for index, (kind, size) in enumerate(((torch.bfloat16, "5GB"), (torch.float32, "30MB"), (torch.float16, "5GB"))):
        torch.manual_seed(index + 1)
        for name, parameter in model.named_parameters():
            parameter.data = (base[name] + 0.002 * torch.randn_like(base[name])).to(kind)
        model.to(kind).save_pretrained(folder / f"tune{index}", max_shard_size=size)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory", "make"))
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, help="a folder with base, tune0, tune1, tune2")
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--tune", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--mergekit", default="mergekit-yaml")
    parser.add_argument("--bench", help="bonesoup-bench, to measure the memory's limit beside each blend")
    parser.add_argument("--work", help="where results are written; default: the system's temporary folder")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    if options.what == "make":
        return make(options.folder)
    base = options.base or options.models / "base"
    tunes = options.tune or [options.models / f"tune{index}" for index in range(3)]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    (speed if options.what == "speed" else memory)(options, base, tunes)


if __name__ == "__main__":
    main()
