"""What is measured: prompts, rewards, and how texts are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

from bonesoup.eval.sampling import Sample, Sampling
from bonesoup.soup import Soup

Floats = numpy.ndarray[Any, Any]
# Prompts, completions and what stands beside each prompt → one number per completion; `bonesoup.rewards` loads such.
Score = Callable[[Sequence[str], Sequence[str], Sequence[Mapping[str, Any]]], Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Objective:
    """A reward and its scale: (score − mean)/std, held within ±clip."""

    name: str
    score: Score
    mean: float = 0.0
    std: float = 1.0
    clip: float | None = None

    def __call__(self, prompts: Sequence[str], texts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the normalised rewards."""
        scaled = (numpy.asarray(self.score(prompts, texts, rows), float) - self.mean) / self.std
        return scaled if self.clip is None else numpy.clip(scaled, -self.clip, self.clip)


@dataclasses.dataclass(frozen=True)
class Task:
    """The same for every method."""

    prompts: tuple[str, ...]
    # Beside each prompt; empty mappings where nothing does.
    rows: tuple[Mapping[str, Any], ...]
    # What the soup's objectives are, in its order.
    objectives: tuple[Objective, ...]
    # Rewards that nobody asked for: what else changes. On their own scale.
    others: tuple[Objective, ...] = ()
    # Texts per prompt.
    samples: int = 1
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    seed: int = 1

    def seed_of(self, prompt: int, sample: int) -> int:
        """Return the seed of a text: the same for every preference and method, so that they differ by no luck."""
        return self.seed * 1_000_003 + prompt * self.samples + sample

    def texts(self, soup: Soup, samples: Sequence[Sample], each: int | None = None) -> list[str]:
        """Return the completions as text, the prompt's own left off; `each` per prompt (default: `samples`)."""
        each = each or self.samples
        made = []
        for number, prompt in enumerate(self.prompts):
            tokens = soup.tokenize(prompt)
            before = soup.detokenize(tokens, skip_special=True)
            for sample in samples[number * each : (number + 1) * each]:
                # Together with the prompt: alone, some tokenizers lose the first space.
                whole = soup.detokenize([*tokens, *sample.tokens], skip_special=True)
                made.append(whole[len(before) :])
        return made

    def rewards(self, texts: Sequence[str], objectives: Sequence[Objective], each: int | None = None) -> Floats:
        """Return the rewards of completions in the prompts' order: [texts][objectives]."""
        each = each or self.samples
        prompts = [prompt for prompt in self.prompts for _ in range(each)]
        rows = [row for row in self.rows for _ in range(each)]
        columns = [objective(prompts, texts, rows) for objective in objectives]
        return numpy.stack(columns, axis=1) if columns else numpy.empty((len(texts), 0))
