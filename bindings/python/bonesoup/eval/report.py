"""One HTML file that holds the whole result: tables and pictures, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.eval import plots

_MEASURES = {
    "mu_r": "μ·r",
    "kl": "KL",
    "j": "J",
    "hypervolume": "hypervolume",
    "controllability": "controllability",
    "continuity": "continuity",
    "sparsity": "sparsity",
    "spacing": "spacing",
    "nondominated": "non-dominated",
}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0 } td, th { padding: .25em .6em; text-align: right }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left } small { color: #777 }
svg { max-width: 100%; height: auto } q { quotes: none }
"""


def write(result: Mapping[str, Any], folder: Path) -> None:
    """Write `report.html`, and each picture as an SVG file."""
    pictures = {
        "fronts": plots.fronts(result),
        "reward-by-kl": plots.reward_by_kl(result),
        "maps": plots.ternary(result, "soup"),
        "sliders": plots.sliders(result),
        "steps": plots.steps(result),
    }
    for name, picture in pictures.items():
        if picture is not None:
            (folder / f"{name}.svg").write_text(picture + "\n", encoding="utf-8")
    body = "\n".join(_body(result, pictures, folder))
    title = html.escape(f"The front of {result.get('project', 'a soup')}")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    (folder / "report.html").write_text(f"{head}\n<h1>{title}</h1>\n{body}\n</html>\n", encoding="utf-8")


def _body(result: Mapping[str, Any], pictures: Mapping[str, str | None], folder: Path) -> Iterator[str]:
    texts = result["texts"]
    base = ", ".join(f"{value:.3g}" for value in result["base"])
    reference = ", ".join(f"{value:.3g}" for value in result["reference"])
    yield (
        f"<p>{len(result['grid'])} preferences over {html.escape(', '.join(result['objectives']))}; {texts['prompts']} "
        f"prompts ({html.escape(result['split'])}), {texts['samples']} text(s) of at most {texts['max_tokens']} "
        f"tokens each, at temperature {texts['temperature']:g}. Rewards are in deviations of the base's own samples, "
        f"and it is at ({base}) here. KL is in nats per text; J = μ·r − {result['beta_kl']:g}·KL is what was trained. "
        f"Hypervolumes have one reference point, ({reference}). Small figures are 95 % intervals by bootstrap over "
        "prompts.</p>"
    )
    for key, words in (("own", "As they are"), ("equal_kl", "At the soup's KL, preference by preference")):
        yield f"<h2>{words}</h2>" + _table(result["methods"], key)
    yield "<h2>The soup's lead at equal KL, or at the most that the other has</h2>" + _leads(result["methods"])
    for name, oracle in result.get("oracles", {}).items():
        count = len(oracle["preferences"])
        yield f"<h2>Beside {html.escape(name)}, at its {count} preferences</h2>" + _table(oracle["methods"], "own")
        yield "<p>At equal KL:</p>" + _table(oracle["methods"], "equal_kl")
    titles = {
        "fronts": "Fronts",
        "reward-by-kl": "Reward by KL",
        "maps": "Each reward over the preferences",
        "sliders": "What each slider does (controllability)",
        "steps": "How even the steps are (continuity)",
    }
    for key, picture in pictures.items():
        if picture is not None:
            yield f"<h2>{titles[key]}</h2>{picture}"
    yield "<h2>Side effects</h2>" + _side_effects(result)
    yield "<h2>Methods</h2><ul>" + "".join(
        f"<li><b>{html.escape(name)}</b>: {html.escape(entry['description'])}</li>"
        for name, entry in result["methods"].items()
    )
    yield "</ul><h2>Texts</h2>" + "".join(_texts(folder / "soup", result["objectives"]))


def _cell(values: Mapping[str, float]) -> str:
    bounds = f" <small>{values['low']:.2f}–{values['high']:.2f}</small>" if "low" in values else ""
    return f"<td>{values['value']:.3f}{bounds}</td>"


def _table(methods: Mapping[str, Any], key: str) -> str:
    head = "".join(f"<th>{words}</th>" for words in _MEASURES.values())
    rows = [
        f"<tr><td>{html.escape(name)}{_reach(entry, key)}</td>"
        + "".join(_cell(entry[key][measure]) for measure in _MEASURES)
        + "</tr>"
        for name, entry in methods.items()
        if key in entry
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _reach(entry: Mapping[str, Any], key: str) -> str:
    if key != "equal_kl" or not entry["out_of_reach"]:
        return ""
    return f" <small>({entry['out_of_reach']:.0%} of the points do not reach that KL)</small>"


def _leads(methods: Mapping[str, Any]) -> str:
    chosen = ("mu_r", "j", "hypervolume", "controllability")
    head = "".join(f"<th>{_MEASURES[measure]}</th>" for measure in chosen)
    rows = [
        f"<tr><td>over {html.escape(name)}</td>"
        + "".join(_cell(entry["lead"]["equal_kl"][measure]) for measure in chosen)
        + "</tr>"
        for name, entry in methods.items()
        if "lead" in entry
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _side_effects(result: Mapping[str, Any]) -> str:
    names = ["length", "base_perplexity", *result["others"]]
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    rows = []
    for method, entry in result["methods"].items():
        points = [point for point in entry["points"] if point["own"]]
        columns = [[point["length"], point["base_perplexity"], *point["others"]] for point in points]
        means = [sum(column) / len(column) for column in zip(*columns)]
        cells = "".join(f"<td>{mean:.2f}</td>" for mean in means)
        rows.append(f"<tr><td>{html.escape(method)}</td>{cells}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table><p>Means over the preferences.</p>"


def _texts(folder: Path, names: Sequence[str]) -> Iterator[str]:
    for file in sorted(folder.glob("1_*.json")):
        facts = json.loads(file.read_text(encoding="utf-8"))
        if max(facts["preference"]) < 1:
            continue
        name = names[facts["preference"].index(max(facts["preference"]))]
        yield f"<h3>All on {html.escape(name)}</h3>"
        for prompt, text in facts["texts"]:
            yield f"<p><b>{html.escape(prompt)}</b><q>{html.escape(text)}</q></p>"
