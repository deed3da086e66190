"""
Times a front by `bonesoup eval`'s sampler beside merging each preference into a transformers model.

    python Tests/Benchmarks/front.py --models ../shared/models [--preferences 66] [--prompts 256] [--share 6]

Both sides take the base TinyStories-656K and its three LoRA backbones, and write `--tokens` tokens for each prompt at
each preference. The transformers side does as Bone Soup's published code: for each preference the models are read from
their files, merged, and sampled in batches of 64. It is timed at every `--share`-th preference, ours at all of them;
the two alternate, so that both meet the same machine. Wall and CPU seconds, and what they come to for the whole front.
Needs the tests' packages, torch, transformers and peft.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bonesoup
from bonesoup.eval import Row, Sampling, sample, simplex

BATCH = 64
BETA = 0.7
OPENINGS = ("Once upon a time, there was ", "One day, ", "In a small house, ", "Every morning ", "Deep in the forest ")
HEROES = ("a girl", "a boy", "a dog", "a cat", "a bird", "an old man", "a mouse", "a bear", "a frog", "a fish")
NAMES = ("named Lily", "named Tom", "named Max", "who was sad", "who liked to play", "and a friend")


def prompts(count: int) -> list[str]:
    """Return different beginnings of stories, of several lengths."""
    all_of_them = [f"{a}{b} {c} " for a in OPENINGS for b in HEROES for c in NAMES]
    return [all_of_them[index % len(all_of_them)] for index in range(count)]


class Ours:
    """The library's batches of blends."""

    def __init__(self, models: Path, threads: int, weights: Any, kind: Any, batch: int) -> None:
        self._soup = bonesoup.Soup.open(models / "TinyStories-656K", threads=threads, weights=weights)
        for number in range(3):
            self._soup.add_backbone(models / "tinysoup" / "lora" / f"lora70_{number}")
            self._soup.add_objective(f"objective {number}")
        other = (1 - BETA) / 2
        self._soup.set_matrix([[BETA if row == column else other for column in range(3)] for row in range(3)])
        self._kind, self._batch = kind, batch

    def write(self, preferences: Sequence[Sequence[float]], texts: Sequence[str], tokens: int) -> int:
        """Write all texts at all preferences; return how many tokens that were."""
        read = [self._soup.tokenize(text) for text in texts]
        rows = (
            Row(blend, prompt, number)
            for blend in (self._soup.blend(preference=preference, kind=self._kind) for preference in preferences)
            for number, prompt in enumerate(read)
        )
        count = 0
        for _, text in sample(rows, Sampling(tokens, batch=self._batch)):
            count += len(text.tokens)
        return count


class Transformers:
    """transformers and peft: merge, then sample in batches of 64."""

    def __init__(self, models: Path, threads: int, solve: Callable[[Sequence[float]], Sequence[float]]) -> None:
        import torch
        import transformers

        torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()
        self._torch, self._transformers, self._models, self._solve = torch, transformers, models, solve
        base = models / "TinyStories-656K"
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(base, padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.eos_token

    def write(self, preferences: Sequence[Sequence[float]], texts: Sequence[str], tokens: int) -> int:
        """Write all texts at all preferences; return how many tokens that were."""
        count = 0
        for preference in preferences:
            model = self._merged(self._solve(preference))
            for start in range(0, len(texts), BATCH):
                read = self._tokenizer(texts[start : start + BATCH], return_tensors="pt", padding=True)
                with self._torch.inference_mode():
                    made = model.generate(
                        input_ids=read["input_ids"],
                        attention_mask=read["attention_mask"],
                        max_new_tokens=tokens,
                        do_sample=True,
                        top_k=0,
                        pad_token_id=self._tokenizer.pad_token_id,
                    )
                new = made[:, read["input_ids"].shape[1] :]
                count += int((new != self._tokenizer.pad_token_id).sum())
        return count

    def _merged(self, coefficients: Sequence[float]) -> Any:
        from peft import PeftModel

        loaded = self._transformers.AutoModelForCausalLM.from_pretrained(
            self._models / "TinyStories-656K", dtype=self._torch.float32
        )
        folders = [self._models / "tinysoup" / "lora" / f"lora70_{number}" for number in range(3)]
        model = PeftModel.from_pretrained(loaded, folders[0], adapter_name="0")
        for number, folder in enumerate(folders[1:], 1):
            model.load_adapter(folder, adapter_name=str(number))
        names = [str(number) for number in range(3)]
        model.add_weighted_adapter(names, list(coefficients), "mix", combination_type="cat")
        model.set_adapter("mix")
        return model.merge_and_unload().eval()


def timed(side: Ours | Transformers, preferences: Sequence[Sequence[float]], texts: Sequence[str], tokens: int) -> Any:
    """Return tokens, wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = side.write(preferences, texts, tokens)
    return {"tokens": count, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a front beside merging each preference into a model.")
    parser.add_argument("--models", type=Path, required=True, help="has TinyStories-656K and tinysoup")
    parser.add_argument("--divisions", type=int, default=10, help="of the simplex; 10 are 66 preferences")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--share", type=int, default=6, help="transformers does every so-manyth preference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=BATCH, help="ours")
    parser.add_argument("--weights", choices=("f32", "bf16", "q8_0"), help="ours; default: the file's own, f32")
    parser.add_argument("--kind", choices=("live", "folded"), default="live", help="ours")
    options = parser.parse_args()
    ours = Ours(options.models, options.threads, options.weights, options.kind, options.batch)
    theirs = Transformers(options.models, options.threads, lambda mu: ours._soup.solve(preference=mu).coefficients)
    grid, texts = simplex(3, options.divisions), prompts(options.prompts)
    for side in (ours, theirs):
        timed(side, grid[:1], texts[:BATCH], options.tokens)  # warm
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(grid), options.share):
        group = grid[start : start + options.share]
        for name, side, part in (("bonesoup", ours, group), ("transformers", theirs, group[:1])):
            run = timed(side, part, texts, options.tokens)
            total = found.setdefault(name, {"preferences": 0, "tokens": 0, "wall": 0, "cpu": 0})
            total["preferences"] += len(part)
            for key, value in run.items():
                total[key] += value
            print(name, run, file=sys.stderr, flush=True)
    for total in found.values():
        for key in ("wall", "cpu"):
            total[f"front_{key}"] = total[key] / total["preferences"] * len(grid)
            total[f"{key}_microseconds_per_token"] = total[key] / total["tokens"] * 1e6
    ratios = {key: found["transformers"][f"front_{key}"] / found["bonesoup"][f"front_{key}"] for key in ("wall", "cpu")}
    print(json.dumps({**found, "times_faster": ratios}, indent=2))


if __name__ == "__main__":
    main()
