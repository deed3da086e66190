"""An objective as TRL's GRPO trainer calls it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from bonesoup.rewards import Norm, RowReward


class Scoring:
    """Gives normalised rewards, and remembers the mean of the raw ones since it was asked last."""

    def __init__(self, name: str, reward: RowReward, norm: Norm) -> None:
        # TRL names its metrics by it.
        self.__name__ = name
        self._reward, self._norm = reward, norm
        self._raw: list[float] = []

    def __call__(
        self, *, prompts: Sequence[str], completions: Sequence[str], row: Sequence[str] | None = None, **others: Any
    ) -> list[float]:
        """Score a batch; `row` is the data set's column of what stands beside each prompt, as JSON."""
        rows = None if row is None else [json.loads(text) for text in row]
        raw = list(self._reward(prompts, completions, rows))
        self._raw += raw
        return self._norm(raw)

    def take_raw(self) -> float:
        """Return the mean of the raw rewards since the last call, of this process."""
        mean = statistics.fmean(self._raw) if self._raw else float("nan")
        self._raw.clear()
        return mean
