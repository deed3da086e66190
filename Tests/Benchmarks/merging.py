"""Merges of files beside mergekit: the same bits, and how long and in how much memory.

    python merging.py equal --models DIR [--out DIR]     base, backbones and our library against mergekit's own output
    python merging.py speed --models DIR [--runs N]      seconds and peak memory, in turns
    python merging.py make DIR                           a random model of 100 MB with three fine-tunes

DIR holds `base` and `tune0`, `tune1`, `tune2` (or, as in the shared folder, any four folders given by --base and
--tune). mergekit runs in its own environment (--mergekit: the path of its mergekit-yaml).
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

# Weights and densities of the three models, as YAML has them.
WEIGHTS = (0.5, 0.3, 0.4)
DENSITIES = (0.5, 0.4, 0.6)

# Methods with deterministic results: name, parameters of each model, shared parameters, models, whether a base.
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], int, bool]] = [
    ("linear", "linear", {"weight": WEIGHTS}, {}, 3, False),
    ("linear-sum", "linear", {"weight": (1.5, -0.75, 0.25)}, {"normalize": False}, 3, False),
    ("task_arithmetic", "task_arithmetic", {"weight": (1.5, -0.75, 0.25)}, {"lambda": 0.7}, 3, True),
    ("slerp", "slerp", {}, {"t": 0.3}, 1, True),
    ("slerp-gradient", "slerp", {}, {"t": [0.1, 0.9]}, 1, True),
    ("nuslerp", "nuslerp", {"weight": (0.6, 0.3)}, {}, 2, False),
    ("nuslerp-base", "nuslerp", {"weight": (0.6, 0.3)}, {}, 2, True),
    ("nuslerp-rows", "nuslerp", {"weight": (0.6, 0.3)}, {"nuslerp_flatten": False}, 2, True),
    (
        "nuslerp-columns",
        "nuslerp",
        {"weight": (0.6, 0.3)},
        {"nuslerp_flatten": False, "nuslerp_row_wise": True},
        2,
        True,
    ),
    ("ties", "ties", {"weight": WEIGHTS, "density": DENSITIES}, {}, 3, True),
    ("ties-sum", "ties", {"weight": (1.5, -0.75, 0.25), "density": DENSITIES}, {"normalize": False}, 3, True),
    ("ties-filter", "ties", {"weight": WEIGHTS, "density": DENSITIES}, {"lambda": [0.5, 1.5]}, 3, True),
    ("breadcrumbs", "breadcrumbs", {"weight": WEIGHTS, "density": DENSITIES, "gamma": (0.02,) * 3}, {}, 3, True),
    ("breadcrumbs_ties", "breadcrumbs_ties", {"weight": WEIGHTS, "density": DENSITIES}, {}, 3, True),
    ("sce", "sce", {}, {"select_topk": 0.3}, 3, True),
    ("sce-all", "sce", {}, {}, 3, True),
    ("model_stock", "model_stock", {}, {}, 3, True),
    ("model_stock-rows", "model_stock", {}, {"filter_wise": True}, 3, True),
    ("passthrough", "passthrough", {"scale": (0.7,)}, {}, 1, False),
]


def recipe(
    case: tuple[str, str, dict[str, Any], dict[str, Any], int, bool],
    base: str,
    tunes: list[str],
    dtype: str = "float32",
) -> str:
    """Return mergekit's YAML of a case, as JSON, which is YAML."""
    _, method, each, shared, count, has_base = case
    models: list[dict[str, Any]] = [
        {"model": tunes[index], "parameters": {name: values[index] for name, values in each.items()}}
        for index in range(count)
    ]
    if method == "slerp":
        models.insert(0, {"model": base})
    document: dict[str, Any] = {
        "merge_method": method,
        "models": models,
        "parameters": shared,
        "dtype": dtype,
        "out_dtype": "bfloat16",
    }
    if has_base:
        document["base_model"] = base
    return json.dumps(document)


def tensors(folder: pathlib.Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the 16-bit patterns of a folder's tensors."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            start = file.tell()
            for name, entry in header.items():
                if name == "__metadata__":
                    continue
                assert entry["dtype"] == "BF16", (name, entry)
                begin, end = entry["data_offsets"]
                file.seek(start + begin)
                found[name] = np.frombuffer(file.read(end - begin), dtype=np.uint16)
    return found


def floats(folder: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return a folder's tensors in f32."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            start = file.tell()
            for name, entry in header.items():
                if name == "__metadata__":
                    continue
                begin, end = entry["data_offsets"]
                file.seek(start + begin)
                data = file.read(end - begin)
                if entry["dtype"] == "BF16":
                    found[name] = (np.frombuffer(data, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
                else:
                    found[name] = np.frombuffer(data, dtype={"F16": "<f2", "F32": "<f4"}[entry["dtype"]]).astype("<f4")
    return found


class Ties:
    """Which elements have the magnitude at which a method cuts: of these each side keeps other ones."""

    def __init__(self, case: tuple[str, str, dict[str, Any], dict[str, Any], int, bool], base: str, tunes: list[str]):
        self._densities = case[2].get("density") if case[1] in ("ties", "breadcrumbs", "breadcrumbs_ties") else None
        self._gammas = case[2].get("gamma", (0.01,) * 3) if case[1].startswith("breadcrumbs") else (0.0,) * 3
        if self._densities:
            self._base, self._tunes = floats(base), [floats(tune) for tune in tunes]

    def mask(self, name: str) -> np.ndarray[Any, Any] | None:
        if not self._densities or name not in self._base:
            return None
        found = np.zeros(self._base[name].size, dtype=bool)
        for tune, density, gamma in zip(self._tunes, self._densities, self._gammas, strict=True):
            size = np.abs(tune[name] - self._base[name])
            kept = int(density * size.size)
            dropped = min(int(gamma * size.size), size.size - kept)
            ordered = np.sort(size)[::-1]
            for count in {kept + dropped, dropped} - {0, size.size}:
                found |= size == ordered[count - 1]
        return found


def compare(ours: pathlib.Path, theirs: pathlib.Path, ties: Ties) -> dict[str, float]:
    """Return how many elements there are and how many differ: by one unit of the last place, by more at no tie."""
    left, right = tensors(ours), tensors(theirs)
    total = differing = near = unexplained = 0
    largest = 0.0
    for name, values in right.items():
        mine = left.pop(name, None)
        if mine is None:
            # A tied model's one matrix under its other name.
            other = "lm_head.weight" if "embed" in name else "model.embed_tokens.weight"
            mine = left.get(other)
        if mine is None:
            raise SystemExit(f"{ours} lacks {name}")
        unequal = mine != values
        total += values.size
        differing += int(unequal.sum())
        a, b = mine[unequal].astype(np.int32), values[unequal].astype(np.int32)
        near += int((np.abs(a - b) == 1).sum())
        tied = ties.mask(name)
        far = np.abs(a - b) > 1
        unexplained += int((far & ~tied[unequal]).sum() if tied is not None else far.sum())
        if a.size:
            wide_a = (a.astype(np.uint32) << 16).view(np.float32)
            wide_b = (b.astype(np.uint32) << 16).view(np.float32)
            largest = max(largest, float(np.abs(wide_a - wide_b).max()))
    return {
        "elements": total,
        "differing": differing,
        "by_one_ulp": near,
        "unexplained": unexplained,
        "largest": largest,
    }


def readable(base: str, work: pathlib.Path) -> str:
    """Return the base, or a copy for mergekit where a tied model's one matrix is stored as lm_head.weight."""
    source = pathlib.Path(base)
    path = source / "model.safetensors"
    if not path.exists():
        return base
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if "model.embed_tokens.weight" in header or "lm_head.weight" not in header:
            return base
        data = file.read()
    header["model.embed_tokens.weight"] = header.pop("lm_head.weight")
    text = json.dumps(header).encode()
    copy = work / "base"
    shutil.copytree(source, copy)
    (copy / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    return str(copy)


def run(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Run a command; return its seconds and its peak resident memory in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.decode(errors='replace')[-3000:]}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def our_command(config: pathlib.Path, out: pathlib.Path) -> list[str]:
    return [sys.executable, "-m", "bonesoup", "merge", str(config), str(out), "--no-sync"]


def their_command(mergekit: str, config: pathlib.Path, out: pathlib.Path) -> list[str]:
    return [mergekit, str(config), str(out), "--no-write-model-card"]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def equal(options: argparse.Namespace, base: str, tunes: list[str]) -> None:
    """Compare every deterministic method with mergekit."""
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        known = readable(base, pathlib.Path(work))
        for case in CASES:
            if options.only and case[0] not in options.only:
                continue
            config = pathlib.Path(work) / f"{case[0]}.yml"
            config.write_text(recipe(case, base, tunes))
            peer = pathlib.Path(work) / f"{case[0]}-mergekit.yml"
            peer.write_text(recipe(case, known, tunes, options.dtype))
            ours, theirs = pathlib.Path(work) / "ours", pathlib.Path(work) / "theirs"
            run(our_command(config, ours), environment())
            run(their_command(options.mergekit, peer, theirs), environment())
            found = compare(ours, theirs, Ties(case, known, tunes))
            share = 1 - found["differing"] / found["elements"]
            far = found["differing"] - found["by_one_ulp"]
            print(
                f"{case[0]:18} {share:9.5%} equal of {found['elements']:,}, {found['by_one_ulp']} by one ulp, "
                f"{far} by more (at most {found['largest']:.3g}), {found['unexplained']} of these at no tie",
                flush=True,
            )
            shutil.rmtree(ours)
            shutil.rmtree(theirs)


SPEED = {
    "linear": ({"weight": WEIGHTS}, False),
    "task_arithmetic": ({"weight": WEIGHTS}, True),
    "ties": ({"weight": WEIGHTS, "density": DENSITIES}, True),
    "dare_ties": ({"weight": WEIGHTS, "density": DENSITIES}, True),
    "della": ({"weight": WEIGHTS, "density": DENSITIES}, True),
}


def speed(options: argparse.Namespace, base: str, tunes: list[str]) -> None:
    """Time both sides in turns; neither waits for the disk."""
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        for method, (each, has_base) in SPEED.items():
            if options.only and method not in options.only:
                continue
            config = pathlib.Path(work) / f"{method}.yml"
            config.write_text(recipe((method, method, each, {}, 3, has_base), base, tunes))
            ours: list[tuple[float, int]] = []
            theirs: list[tuple[float, int]] = []
            for _ in range(options.runs):
                for results, command in (
                    (ours, our_command(config, pathlib.Path(work) / "ours")),
                    (theirs, their_command(options.mergekit, config, pathlib.Path(work) / "theirs")),
                ):
                    results.append(run(command, environment()))
                    for name in ("ours", "theirs"):
                        shutil.rmtree(pathlib.Path(work) / name, ignore_errors=True)
            mine, peer = min(ours), min(theirs)
            print(
                f"{method:16} {mine[0]:7.2f} s {mine[1] / 2**20:7.0f} MiB   mergekit {peer[0]:7.2f} s "
                f"{peer[1] / 2**20:7.0f} MiB   {peer[0] / mine[0]:5.1f} x, memory {mine[1] / peer[1]:.1%}",
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
    parser.add_argument("what", choices=("equal", "speed", "make"))
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--models", help="a folder with base, tune0, tune1, tune2")
    parser.add_argument("--base")
    parser.add_argument("--tune", action="append", default=[])
    parser.add_argument("--mergekit", default="mergekit-yaml")
    parser.add_argument("--work", help="where results are written; default: the system's temporary folder")
    parser.add_argument("--dtype", default="float32", help="mergekit's own arithmetic; float64 shows its rounding")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    if options.what == "make":
        return make(pathlib.Path(options.folder))
    base = options.base or f"{options.models}/base"
    tunes = options.tune or [f"{options.models}/tune{index}" for index in range(3)]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    (equal if options.what == "equal" else speed)(options, base, tunes)


if __name__ == "__main__":
    main()
