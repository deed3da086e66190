"""
Times a front by `bonesoup eval`'s sampler beside merging each preference into a transformers model.

    python Tests/Benchmarks/front.py --models ../shared/models [--ours f32/folded,q8_0/live] [--share 6]

Both sides take the base TinyStories-656K and its three LoRA backbones, and write `--tokens` tokens for each prompt at
each preference. The transformers side does as Bone Soup's published code: for each preference the models are read from
their files, merged, and sampled in batches of 64. It is timed at every `--share`-th preference with each number of
threads, ours at all of them; all take turns, so that they meet the same machine. Wall and CPU time per token, and how
many times faster than transformers at its fastest. `--effect` says what narrower weights do to the texts instead.
Needs the tests' packages, torch, transformers and peft.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bonesoup
from bonesoup.eval import Row, Sample, Sampling, sample, simplex

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
        self.read = self._soup.tokenize

    def solve(self, preference: Sequence[float]) -> Sequence[float]:
        """Return the coefficients of a preference."""
        return self._soup.solve(preference=preference).coefficients

    def blend(self, preference: Sequence[float]) -> bonesoup.Blend:
        return self._soup.blend(preference=preference, kind=self._kind)

    def texts(
        self, preferences: Iterable[Sequence[float]], read: Sequence[Sequence[int]], tokens: int
    ) -> Sequence[Sample]:
        """Write all texts at all preferences."""
        rows = (
            Row(blend, prompt, number) for blend in map(self.blend, preferences) for number, prompt in enumerate(read)
        )
        return [text for _, text in sample(rows, Sampling(tokens, batch=self._batch))]

    def write(self, preferences: Sequence[Sequence[float]], texts: Sequence[str], tokens: int) -> int:
        """Write all texts at all preferences; return how many tokens that were."""
        return sum(len(text.tokens) for text in self.texts(preferences, [self.read(text) for text in texts], tokens))


class Transformers:
    """transformers and peft: merge, then sample in batches of 64."""

    def __init__(self, models: Path, solve: Callable[[Sequence[float]], Sequence[float]]) -> None:
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self._torch, self._transformers, self._models, self._solve = torch, transformers, models, solve
        base = models / "TinyStories-656K"
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(base, padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.eos_token

    def write(self, preferences: Sequence[Sequence[float]], texts: Sequence[str], tokens: int, threads: int) -> int:
        """Write all texts at all preferences; return how many tokens that were."""
        self._torch.set_num_threads(threads)
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


def timed(write: Callable[[], int]) -> dict[str, float]:
    """Return tokens, wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = write()
    return {"tokens": count, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def race(options: argparse.Namespace, grid: Sequence[Sequence[float]], texts: Sequence[str]) -> dict[str, Any]:
    """Time all sides in turns; return microseconds per token, and how many times faster ours are."""
    sides: dict[str, Callable[[Sequence[Sequence[float]]], int]] = {}
    solve = None
    for name in options.ours.split(","):
        weights, kind = name.split("/")
        ours = Ours(options.models, options.threads, weights, kind, options.batch)
        sides[name] = partial(ours.write, texts=texts, tokens=options.tokens)
        solve = ours.solve
    assert solve is not None
    theirs = Transformers(options.models, solve)
    for threads in options.their_threads:
        sides[f"transformers/{threads}"] = partial(theirs.write, texts=texts, tokens=options.tokens, threads=threads)
    for write in sides.values():
        write(grid[:1])  # warm
    found = {name: {"tokens": 0.0, "wall": 0.0, "cpu": 0.0} for name in sides}
    for start in range(0, len(grid), options.share):
        group = grid[start : start + options.share]
        for name, write in sides.items():
            for key, value in timed(partial(write, group[:1] if name.startswith("transformers") else group)).items():
                found[name][key] += value
        print(f"{start + len(group)} of {len(grid)} preferences", file=sys.stderr, flush=True)
    best = {
        key: min(one[key] / one["tokens"] for name, one in found.items() if name.startswith("transformers"))
        for key in ("wall", "cpu")
    }
    return {
        name: {
            "tokens": one["tokens"],
            **{f"{key}_us": round(one[key] / one["tokens"] * 1e6, 2) for key in best},
            **{f"{key}_times_faster": round(best[key] / (one[key] / one["tokens"]), 2) for key in best},
        }
        for name, one in found.items()
    }


def effect(options: argparse.Namespace, grid: Sequence[Sequence[float]], texts: Sequence[str]) -> dict[str, Any]:
    """Compare the distributions of each token of texts that f32 wrote, and the texts that each format writes."""
    import numpy
    from bonesoup.eval.likelihood import log_softmax, rows

    every = grid[:: options.share]
    full = Ours(options.models, options.threads, "f32", "folded", options.batch)
    prompts = [full.read(text) for text in texts]
    written = {point: full.texts([point], prompts, options.tokens) for point in every}

    def distributions(side: Ours, point: Sequence[float], number: int) -> Any:
        tokens = written[tuple(point)][number].tokens
        with side.blend(point).session() as session:
            session.append([*prompts[number], *tokens][:-1])
            session.decode(all_logits=True)
            return log_softmax(rows(session._handle, len(prompts[number]) - 1, len(tokens), 2048).astype("float64"))

    result: dict[str, Any] = {}
    for weights in ("f32", "bf16", "q8_0"):
        side = Ours(options.models, options.threads, weights, "folded", options.batch)
        divergence: list[float] = []
        for point in every:
            for number in range(0, len(prompts), options.share):
                p, q = distributions(full, point, number), distributions(side, point, number)
                divergence += list((numpy.exp(p) * (p - q)).sum(axis=-1))
        own = [one for point in every for one in side.texts([point], prompts, options.tokens)]
        result[weights] = {
            "kl_from_f32_nats_per_token": float(numpy.mean(divergence)),
            "mean_logprob": float(numpy.mean(numpy.concatenate([one.logprobs for one in own]))),
            "tokens_per_text": float(numpy.mean([len(one.tokens) for one in own])),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a front beside merging each preference into a model.")
    parser.add_argument("--models", type=Path, required=True, help="has TinyStories-656K and tinysoup")
    parser.add_argument("--divisions", type=int, default=10, help="of the simplex; 10 are 66 preferences")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--share", type=int, default=6, help="transformers does every so-manyth preference")
    parser.add_argument("--threads", type=int, default=2, help="ours")
    parser.add_argument("--their-threads", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2])
    parser.add_argument("--batch", type=int, default=0, help="ours; default: as bonesoup eval")
    parser.add_argument("--ours", default="f32/folded", help="weights/kind, several with commas between them")
    parser.add_argument("--effect", action="store_true", help="of narrower weights on the texts; nothing is timed")
    options = parser.parse_args()
    grid, texts = simplex(3, options.divisions), prompts(options.prompts)
    print(json.dumps((effect if options.effect else race)(options, grid, texts), indent=2))


if __name__ == "__main__":
    main()
