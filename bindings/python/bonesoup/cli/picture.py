"""The picture of a comparison, by matplotlib."""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path
from typing import Any

from bonesoup.cli.failure import UsageError
from bonesoup.comparison import Comparison


def draw(comparison: Comparison, path: str) -> None:
    """Write norms by tensor, and where there are several backbones, how much they agree."""
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ImportError:
        raise UsageError('--picture needs matplotlib: pip install "bonesoup[eval]"') from None
    matplotlib.use("agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    names = [tensor.name.removesuffix(".weight") for tensor in comparison.tensors]
    several = len(comparison.backbones) > 1
    height = max(4.0, 0.16 * len(names) + 1.5)
    figure, axes = pyplot.subplots(
        1, 3 if several else 1, figsize=(6 + (7 if several else 0), height), sharey=True, squeeze=False
    )
    rows = range(len(names))
    _draw_norms(axes[0][0], comparison, rows)
    axes[0][0].set_yticks(rows, names, fontsize=6)
    axes[0][0].invert_yaxis()
    if several:
        _draw_pairs(axes[0][1], comparison, rows)
        _draw_conflict(axes[0][2], comparison, rows)
    figure.tight_layout()
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.partial{target.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        os.replace(temporary, target)
    except ValueError as cause:
        raise UsageError(f"--picture: {cause}") from None
    finally:
        pyplot.close(figure)
        temporary.unlink(missing_ok=True)


def _draw_norms(axis: Any, comparison: Comparison, rows: range) -> None:
    for number, path in enumerate(comparison.backbones):
        shares = [
            tensor.norms[number] / tensor.base_norm if tensor.base_norm else math.nan for tensor in comparison.tensors
        ]
        axis.plot(shares, rows, ".", label=path)
    axis.set_xlabel("‖Δ‖ / ‖θ₀‖")
    axis.legend(fontsize=7)


def _draw_pairs(axis: Any, comparison: Comparison, rows: range) -> None:
    count = len(comparison.backbones)
    for first in range(count):
        for second in range(first + 1, count):
            values = [tensor.cosines[first][second] for tensor in comparison.tensors]
            axis.plot(values, rows, ".", label=f"{first}, {second}")
    axis.axvline(0, color="gray", linewidth=0.5)
    axis.set_xlabel("cosine")
    axis.legend(fontsize=7)


def _draw_conflict(axis: Any, comparison: Comparison, rows: range) -> None:
    axis.plot([tensor.conflict for tensor in comparison.tensors], rows, ".", label="signs in conflict")
    axis.plot([tensor.cancellation for tensor in comparison.tensors], rows, ".", label="cancelled in the sum")
    axis.set_xlim(0, 1)
    axis.set_xlabel("share")
    axis.legend(fontsize=7)
