"""Pictures of an evaluation, by matplotlib, as SVG texts."""

from __future__ import annotations

import importlib
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

_HEIGHT = 3**0.5 / 2


def pyplot() -> Any:
    """Return matplotlib.pyplot without a display."""
    importlib.import_module("matplotlib").use("agg")
    return importlib.import_module("matplotlib.pyplot")


def own_points(result: Mapping[str, Any], method: str, grid: bool = True) -> tuple[Any, Any]:
    """Return preferences and rewards of a method at its own strength, on the grid or wherever it was measured."""
    points = [point for point in result["methods"][method]["points"] if point["own"]]
    points = [point for point in points if not grid or point["preference"] in result["grid"]]
    preferences, rewards = (numpy.asarray([point[key] for point in points]) for key in ("preference", "rewards"))
    return preferences, rewards


def on_grid(result: Mapping[str, Any]) -> list[str]:
    """Return the methods that were measured on all of the grid."""
    return [name for name, entry in result["methods"].items() if "own" in entry]


def fronts(result: Mapping[str, Any]) -> str:
    """Each pair of objectives: all methods' points."""
    names, plt = result["objectives"], pyplot()
    pairs = list(itertools.combinations(range(len(names)), 2))
    figure, axes = plt.subplots(1, max(1, len(pairs)), figsize=(4.2 * max(1, len(pairs)), 3.8), squeeze=False)
    for axis, (first, second) in zip(axes[0], pairs):
        for method in result["methods"]:
            _, rewards = own_points(result, method, grid=False)
            axis.plot(rewards[:, first], rewards[:, second], ".", label=method, alpha=0.8)
        axis.set_xlabel(names[first])
        axis.set_ylabel(names[second])
    axes[0][0].legend(fontsize=7)
    return _svg(plt, figure)


def reward_by_kl(result: Mapping[str, Any]) -> str:
    """Mean μ·r as a function of mean KL, over each method's strengths."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6, 4))
    for method in on_grid(result):
        by_strength: dict[float, list[tuple[float, float]]] = {}
        for point in result["methods"][method]["points"]:
            if point["preference"] in result["grid"]:
                by_strength.setdefault(point["strength"], []).append((point["kl"], point["mu_r"]))
        means = [numpy.mean(values, axis=0) for _, values in sorted(by_strength.items())]
        axis.plot([mean[0] for mean in means], [mean[1] for mean in means], ".-", label=method)
    axis.set_xlabel("KL to the base, nats per text")
    axis.set_ylabel("mean μ·r")
    axis.legend(fontsize=7)
    return _svg(plt, figure)


def ternary(result: Mapping[str, Any], method: str) -> str | None:
    """A map of each reward over the triangle of preferences; None unless there are three objectives."""
    names = result["objectives"]
    preferences, rewards = own_points(result, method)
    if len(names) != 3 or len(preferences) < 4:
        return None
    plt = pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(12.6, 3.6))
    across, up = preferences[:, 1] + preferences[:, 2] / 2, preferences[:, 2] * _HEIGHT
    for index, axis in enumerate(axes):
        drawn = axis.tricontourf(across, up, rewards[:, index], levels=12)
        figure.colorbar(drawn, ax=axis, shrink=0.8)
        axis.plot(across, up, "k.", markersize=2)
        for place, name in zip(((0, -0.06), (1, -0.06), (0.5, _HEIGHT + 0.03)), names):
            axis.text(*place, name, ha="center", fontsize=8)
        axis.set_title(f"reward {names[index]}", fontsize=9, pad=16)
        axis.axis("off")
    return _svg(plt, figure)


def sliders(result: Mapping[str, Any]) -> str:
    """Controllability: each reward against its own part, mean over the points of the grid with that part."""
    names, plt = result["objectives"], pyplot()
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 3.4), squeeze=False)
    for index, axis in enumerate(axes[0]):
        for method in on_grid(result):
            preferences, rewards = own_points(result, method)
            parts = numpy.round(preferences[:, index], 6)
            steps = numpy.unique(parts)
            axis.plot(steps, [rewards[parts == step, index].mean() for step in steps], ".-", label=method)
        axis.set_xlabel(f"μ of {names[index]}")
        axis.set_ylabel(f"reward {names[index]}")
    axes[0][0].legend(fontsize=7)
    return _svg(plt, figure)


def steps(result: Mapping[str, Any]) -> str:
    """Continuity: how far a step of the preference moves the rewards, sorted over all pairs of neighbours."""
    from bonesoup.eval.preferences import neighbours

    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for method in on_grid(result):
        preferences, rewards = own_points(result, method)
        pairs: Sequence[tuple[int, int]] = neighbours([tuple(point) for point in preferences])
        if not pairs:
            continue
        first, second = numpy.asarray(pairs).T
        change = numpy.linalg.norm(rewards[first] - rewards[second], axis=1)
        apart = numpy.linalg.norm(preferences[first] - preferences[second], axis=1)
        axis.plot(numpy.linspace(0, 1, len(pairs)), numpy.sort(change / apart), label=method)
    axis.set_xlabel("share of the pairs of neighbours")
    axis.set_ylabel("‖Δr‖ / ‖Δμ‖")
    axis.legend(fontsize=7)
    return _svg(plt, figure)


def _svg(plt: Any, figure: Any) -> str:
    stream = io.StringIO()
    figure.tight_layout()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = stream.getvalue()
    return text[text.index("<svg") :]
