"""Mixing at the output: p ∝ p₀^c₀ · Π pᵢ^λᵢ (multi-objective decoding, arXiv 2406.18853)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy

from bonesoup.blend import Blend
from bonesoup.eval import solving
from bonesoup.eval.likelihood import log_softmax, rows
from bonesoup.eval.methods.method import Point
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Sample
from bonesoup.eval.task import Task
from bonesoup.session import Session, decode
from bonesoup.soup import Soup

Floats = numpy.ndarray[Any, Any]


class LogitMix:
    """Base and backbones are rows of one batch, and their logits are mixed by λ before each token.

    m + 1 models compute each token, which is what it costs.
    """

    own = 1.0
    description = "base and backbones run side by side, their logits mixed by λ at each token"

    def __init__(self, name: str, soup: Soup, strengths: Sequence[float] = (1.0,)) -> None:
        self.name, self.soup, self.strengths = name, soup, strengths
        count = len(soup.backbones)
        one_hot = [[float(row == column) for column in range(count)] for row in range(-1, count)]
        # The base first.
        self._models = [soup.blend(coefficients=coefficients) for coefficients in one_hot]
        self._ends = set(soup.end_tokens)
        self._vocabulary = soup.info.vocabulary

    def preferences(self, grid: Sequence[Preference]) -> list[Preference]:
        """All of them."""
        return list(grid)

    def blend(self, point: Point) -> Blend | None:
        """No single model."""
        return None

    def sample(self, points: Sequence[Point], task: Task) -> Iterator[tuple[int, list[Sample]]]:
        """Write point by point."""
        prompts = [self.soup.tokenize(prompt) for prompt in task.prompts for _ in range(task.samples)]
        size = max(1, (task.sampling.batch or 64) // 2)
        for number, point in enumerate(points):
            mix = [point.strength * part for part in solving.coefficients(self.soup, point.preference)]
            weights = numpy.asarray([1 - sum(mix), *mix], numpy.float32)
            texts: list[Sample] = []
            for start in range(0, len(prompts), size):
                # A generator per text: the same at each point, whatever is written beside it.
                chosen = range(start, min(start + size, len(prompts)))
                luck = [numpy.random.default_rng(task.seed_of(*divmod(text, task.samples))) for text in chosen]
                texts += self._write(prompts[start : start + size], weights, task, luck)
            yield number, texts

    def _write(
        self, prompts: Sequence[Sequence[int]], weights: Floats, task: Task, luck: Sequence[numpy.random.Generator]
    ) -> list[Sample]:
        # A model without weight need not run.
        models = [(model, weight) for model, weight in zip(self._models, weights) if weight != 0]
        texts = [Sample(array("i"), array("f")) for _ in prompts]
        sessions: list[list[Session]] = []
        try:
            for prompt in prompts:
                sessions.append([model.session(context=len(prompt) + task.sampling.max_tokens) for model, _ in models])
                for session in sessions[-1]:
                    session.append(prompt)
            length = [len(prompt) for prompt in prompts]
            running = list(range(len(prompts)))
            while running:
                decode([session for index in running for session in sessions[index]])
                mixed = numpy.zeros((len(running), self._vocabulary), numpy.float32)
                for place, index in enumerate(running):
                    for session, (_, weight) in zip(sessions[index], models):
                        mixed[place] += weight * rows(session._handle, length[index] - 1, 1, self._vocabulary)[0]
                tokens, logprobs = draw(mixed, task.sampling.temperature, [luck[index] for index in running])
                for place, index in enumerate(running):
                    token = int(tokens[place])
                    texts[index].tokens.append(token)
                    texts[index].logprobs.append(float(logprobs[place]))
                    length[index] += 1
                    for session in sessions[index]:
                        session.append([token])
                running = [index for index in running if not self._ended(texts[index], task)]
        finally:
            for group in sessions:
                for session in group:
                    session.close()
        return texts

    def _ended(self, text: Sample, task: Task) -> bool:
        return text.tokens[-1] in self._ends or len(text.tokens) >= task.sampling.max_tokens


def draw(logits: Floats, temperature: float, luck: Sequence[numpy.random.Generator]) -> tuple[Floats, Floats]:
    """Pick a token per row by Gumbel's trick; return tokens and their log-probabilities at temperature 1."""
    logprobs = log_softmax(logits)
    noise: Any = [one.gumbel(size=logprobs.shape[1]) for one in luck] if temperature > 0 else 0.0
    tokens = (logprobs / (temperature or 1.0) + numpy.asarray(noise)).argmax(axis=1)
    return tokens, logprobs[numpy.arange(len(tokens)), tokens]
