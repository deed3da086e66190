"""Signs that a run games its rewards, read from its log."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# A completion whose KL exceeds this many nats per token is hardly the base's any more.
_KL_PER_TOKEN = 0.5
# How far the perplexity under the base may rise, and the length fall, relative to the first steps.
_PERPLEXITY_RATIO = 2.0
_LENGTH_RATIO = 0.5
# How far the entropy may fall: texts that are all alike.
_ENTROPY_RATIO = 0.4
_WINDOW = 5


def signs(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each sign in a log; means over its first and its last five steps are compared."""
    if len(lines) < 2 * _WINDOW:
        return []
    first, last = lines[:_WINDOW], lines[-_WINDOW:]

    def change(key: str) -> tuple[float, float]:
        return statistics.fmean(line[key] for line in first), statistics.fmean(line[key] for line in last)

    found = []
    length_before, length = change("mean_length")
    kl = change("kl")[1] / max(1.0, length)
    if kl > _KL_PER_TOKEN:
        found.append(
            f"KL to the base is {kl:.2f} nats per token: the text is hardly the base's any more; "
            "raise training.kl, or bound a reward with clip"
        )
    before, after = change("perplexity")
    if after > _PERPLEXITY_RATIO * before:
        found.append(
            f"perplexity under the base rose from {before:.1f} to {after:.1f}: text that the base would not write; "
            "read some of it"
        )
    if length < _LENGTH_RATIO * length_before:
        found.append(
            f"completions shrank from {length_before:.0f} to {length:.0f} tokens: a reward may be paid for "
            "writing nothing"
        )
    before, after = change("entropy")
    if after < _ENTROPY_RATIO * before:
        found.append(f"entropy fell from {before:.2f} to {after:.2f} nats per token: the texts are becoming alike")
    return found
