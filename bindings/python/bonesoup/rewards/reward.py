"""What a reward is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

# Further columns of a prompt's line in a JSON Lines file: references that a reward compares with.
Row = Mapping[str, Any]


class Reward(Protocol):
    """Scores completions; more is better, on any scale.

    A reward may take a third argument, ``rows: Sequence[Row]``: what stands beside each prompt in the project's files.
    """

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> Sequence[float]:
        """Return one number per completion; `prompts` is as long as `completions`."""
        ...


class RowReward(Protocol):
    """A loaded reward, which takes the prompts' rows whether or not it reads them."""

    def __call__(
        self, prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row] | None = None
    ) -> Sequence[float]:
        """Return one number per completion."""
        ...
