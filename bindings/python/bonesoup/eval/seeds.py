"""
Fronts over several training seeds, from the folders of `bonesoup eval`, as a table in Markdown.

    python -m bonesoup.eval.seeds OUT… --methods soup,rewarded-soup,… --beta-kl X [--oracle morlhf]

Intervals are by bootstrap over seeds and prompts together: each draw takes as many seeds as there are, with
replacement, and the same prompts for all of them. With three seeds that is a rough interval; each seed's own value
stands beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from bonesoup.errors import BoneSoupError, Status, error
from bonesoup.eval.collect import Measured, collect
from bonesoup.eval.comparison import Draws, draws, front_at, interval, measure, own_front, reference_point, summary
from bonesoup.eval.preferences import Preference, read

_COLUMNS = {"mu_r": "μ·r", "kl": "KL", "j": "J", "hypervolume": "hypervolume"}
_SHAPE = {
    "controllability": "controllability",
    "continuity": "continuity",
    "sparsity": "sparsity",
    "spacing": "spacing",
}


def over_seeds(runs: Sequence[Mapping[str, Draws]], seed: int = 1) -> dict[str, Draws]:
    """Average the draws of several seeds: the first over all of them, the others over resampled seeds."""
    luck = numpy.random.default_rng(seed)
    first = next(iter(runs[0].values()))["own"]["kl"]
    chosen = luck.integers(len(runs), size=(len(first), len(runs)))
    chosen[0] = numpy.arange(len(runs))
    place = numpy.arange(len(first))[:, None]

    def mean(name: str, key: str, value: str) -> Any:
        return numpy.stack([run[name][key][value] for run in runs], axis=1)[place, chosen].mean(axis=1)

    return {
        name: {key: {value: mean(name, key, value) for value in values} for key, values in kinds.items()}
        for name, kinds in runs[0].items()
    }


def methods_of(
    folder: Path, names: Sequence[str], strengths: Mapping[str, float], preferences: Sequence[Preference]
) -> list[Measured]:
    """Read methods at these preferences and all strengths; NAME×S is NAME at strength S."""
    found = []
    for text in names:
        name, _, strength = text.partition("×")
        own = float(strength) if strength else strengths.get(name, 1.0)
        found.append(dataclasses.replace(collect(folder, name, own, preferences), name=text))
    return found


def table(
    folders: Sequence[Path],
    names: Sequence[str],
    preferences: str,
    beta: float,
    resamples: int,
    oracle: str | None,
) -> Iterator[str]:
    """Yield the lines."""
    strengths = {"best-of-n": 4.0}
    oracles = [collect(folder, oracle, 1.0) for folder in folders if oracle and (folder / oracle).is_dir()]
    grid = read(preferences, [str(number) for number in range(_objectives(folders[0], names[0]))])
    seeds = [methods_of(folder, names, strengths, grid) for folder in folders]
    weights = draws(seeds[0][0].rewards.shape[2], resamples)
    reference = reference_point([own_front(one, weights[:1]) for seed in seeds for one in seed])
    runs, beyond = [], []
    for seed in seeds:
        found, out, _ = measure(seed, weights, beta, reference)
        runs.append(found)
        beyond.append(out)
    mean_beyond = {name: sum(out[name] for out in beyond) / len(beyond) for name in beyond[0]}
    whole = summary(over_seeds(runs), mean_beyond)
    point = ", ".join(f"{value:.2f}" for value in reference)
    yield (
        f"{len(grid)} preferences, {weights.shape[1]} prompts, {len(folders)} training seed(s), reference ({point}), "
        f"{_base_words(seeds)}."
    )
    for key, words in (("own", "As they are"), ("equal_kl", f"At the KL of {names[0]}, preference by preference")):
        yield ""
        yield f"**{words}**"
        yield ""
        yield from _rows(whole, runs, key, {**_COLUMNS, **_SHAPE} if key == "own" else _COLUMNS)
    yield ""
    yield f"**Lead of {names[0]} at equal KL, or at the most KL that the other has**"
    yield ""
    yield from _lead_rows(whole)
    yield ""
    yield from _by_mixture(seeds, weights)
    if oracles:
        yield ""
        yield f"**Beside {oracle}, at its {len(oracles[0].preferences)} preferences (seed 1)**"
        yield ""
        together = [*methods_of(folders[0], names, strengths, oracles[0].preferences), oracles[0]]
        found, out, _ = measure(together, weights, beta, reference)
        yield from _rows(summary(found, out), [found], "own", _COLUMNS)
        yield ""
        for name in names:
            share = interval(found[name]["own"]["j"] / found[str(oracle)]["own"]["j"])
            yield f"J of {name}: {share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of {oracle}'s.  "


def _base_words(seeds: Sequence[Sequence[Measured]]) -> str:
    """Say where the ways to equal KL begin; folders from before the base was measured begin at what its norm says."""
    base = seeds[0][0].base
    if base is None:
        return "the base not measured, taken as 0"
    return f"the base ({', '.join(f'{value:.2f}' for value in base.mean(axis=0))})"


def _objectives(folder: Path, name: str) -> int:
    name = name.partition("×")[0]
    for file in (folder / name).glob("*.npz"):
        return len(json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["preference"])
    raise error(Status.NOT_FOUND, f"{folder} has no points of {name}")


def _rows(
    found: Mapping[str, Any], runs: Sequence[Mapping[str, Draws]], key: str, columns: Mapping[str, str]
) -> Iterator[str]:
    yield "| | " + " | ".join(columns.values()) + " |"
    yield "|---|" + "---|" * len(columns)
    for name, entry in found.items():
        if key == "equal_kl" and "×" in name:
            continue  # the same path as without
        cells = []
        for measure_name in columns:
            value = entry[key][measure_name]
            each = " ".join(f"{run[name][key][measure_name][0]:.2f}" for run in runs) if len(runs) > 1 else ""
            each = f" ({each})" if each and measure_name in ("j", "hypervolume") else ""
            bounds = f" [{value['low']:.2f}, {value['high']:.2f}]" if "low" in value else ""
            cells.append(f"{value['value']:.3f}{bounds}{each}")
        reach = f", out of reach {entry['out_of_reach']:.0%}" if key == "equal_kl" and entry["out_of_reach"] else ""
        yield f"| {name}{reach} | " + " | ".join(cells) + " |"


def _lead_rows(found: Mapping[str, Any]) -> Iterator[str]:
    chosen = ("mu_r", "j", "hypervolume", "controllability")
    yield "| over | " + " | ".join({**_COLUMNS, **_SHAPE}[name] for name in chosen) + " |"
    yield "|---|" + "---|" * len(chosen)
    for name, entry in found.items():
        if "lead" in entry and "×" not in name:
            values = [entry["lead"]["equal_kl"][measure_name] for measure_name in chosen]
            yield (
                f"| {name} | "
                + " | ".join(f"{v['value']:+.3f} [{v['low']:+.3f}, {v['high']:+.3f}]" for v in values)
                + " |"
            )


def _by_mixture(seeds: Sequence[Sequence[Measured]], weights: Any) -> Iterator[str]:
    """Say where the first method leads the second: by how many objectives a preference wants."""
    first, second = seeds[0][0], seeds[0][1]
    preferences = numpy.asarray(first.preferences)
    wanted = (preferences > 0).sum(axis=1)
    leads = []
    for ours, theirs, *_ in seeds:
        own = own_front(ours, weights)
        difference = own.rewards - front_at(theirs, weights, own.kl)[0].rewards
        leads.append((difference * preferences).sum(axis=2))
    yield f"Lead of {first.name} over {second.name} in μ·r at equal KL, by how many objectives a preference wants:"
    yield ""
    for count in sorted(set(wanted.tolist())):
        runs = [{"": {"own": {"kl": lead[:, wanted == count].mean(axis=1)}}} for lead in leads]
        values = interval(over_seeds(runs)[""]["own"]["kl"])
        each = " ".join(f"{run['']['own']['kl'][0]:+.3f}" for run in runs)
        places = int((wanted == count).sum())
        yield f"{count} ({places} preferences): {values.value:+.3f} [{values.low:+.3f}, {values.high:+.3f}] ({each});  "


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bonesoup.eval.seeds", description="Fronts over training seeds.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="OUT", help="of bonesoup eval, one per seed")
    parser.add_argument("--methods", required=True, metavar="NAME[×S],…", help="the first is what others are beside")
    parser.add_argument("--beta-kl", type=float, required=True, metavar="X", help="the weight of KL in J")
    parser.add_argument("--preferences", default="simplex:10", metavar="simplex:N|FILE", help="default simplex:10")
    parser.add_argument("--oracle", metavar="NAME", help="a method with points of its own, in the first folder")
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    names = options.methods.split(",")
    lines = table(options.folders, names, options.preferences, options.beta_kl, options.resamples, options.oracle)
    try:
        print("\n".join(lines))
    except BoneSoupError as failure:
        parser.error(str(failure))


if __name__ == "__main__":
    main()
