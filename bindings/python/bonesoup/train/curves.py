"""Draws a run's log: rewards, KL and perplexity over the steps."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def draw(lines: Sequence[Mapping[str, Any]], title: str, kl_weight: float, file: Path) -> bool:
    """Draw into a PNG file; where matplotlib (extra `eval`) is not installed, do nothing and return False."""
    if not lines or importlib.util.find_spec("matplotlib") is None:
        return False
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    steps = [line["step"] for line in lines]
    figure, (rewards, kl, perplexity) = pyplot.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    for name in lines[0]["rewards"]:
        rewards.plot(steps, [line["rewards"][name]["normalised"] for line in lines], label=name)
    trained = [line["reward"] - kl_weight * line["kl"] for line in lines]
    rewards.plot(steps, trained, label="J", color="black", linewidth=2)
    rewards.set_title(f"{title}: rewards, in deviations of the base's")
    rewards.legend()
    kl.plot(steps, [line["kl"] for line in lines], label="nats per text")
    kl.plot(steps, [line["mean_length"] / 10 for line in lines], label="length, in 10 tokens")
    kl.set_title("KL to the base, length")
    kl.legend()
    perplexity.plot(steps, [line["perplexity"] for line in lines])
    perplexity.set_title("perplexity under the base")
    for axis in (rewards, kl, perplexity):
        axis.set_xlabel("step")
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
    return True
