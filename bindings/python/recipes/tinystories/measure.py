"""
Measures how a soup's text changes as each slider moves; needs only the `bonesoup` package.

    python measure.py SOUP

One slider goes from 0 to 1, the others share the rest equally; every point writes the same prompts with the same seeds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

import bonesoup
from bonesoup import rewards

POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
UNITS = {
    "brief": "words per sentence, less",
    "happy": "happy less sad words in 100",
    "vivid": "describing words per sentence",
}
OBJECTIVES = {name: rewards.load({"reward": name}) for name in UNITS}
_STARTS = ("Once upon a time, there was", "One day,", "Once there was", "In a small town, there lived")
_HEROES = (
    "a little girl named Lily",
    "a little boy named Tim",
    "a big dog named Max",
    "a small bird",
    "a cat",
    "an old man",
    "a mouse",
    "a green frog",
    "a girl named Sue",
    "a boy named Tom",
    "a bear",
    "a fish",
    "a rabbit",
    "a lion",
    "a farmer",
    "a boy and his mom",
)
PROMPTS = [f"{start} {hero}" for hero in _HEROES for start in _STARTS]


def preference(name: str, position: float) -> dict[str, float]:
    """One slider at a position, the others sharing the rest equally."""
    rest = (1 - position) / (len(OBJECTIVES) - 1)
    return {other: position if other == name else rest for other in OBJECTIVES}


def write(soup: bonesoup.Soup, wish: Mapping[str, float], prompts: Sequence[str], tokens: int, seed: int) -> list[str]:
    """A story for each prompt, the prompt included; story i is drawn with seed + i, whatever the preference."""
    blend = soup.blend(preference=wish)
    stories = []
    for number, prompt in enumerate(prompts):
        text = soup.generate(prompt, blend=blend, temperature=0.7, top_p=0.95, seed=seed + number, max_tokens=tokens)
        stories.append(prompt + text.text)
    return stories


def sweep(
    soup: bonesoup.Soup, name: str, prompts: Sequence[str] = PROMPTS, tokens: int = 400, seed: int = 1
) -> list[dict[str, list[float]]]:
    """For each position of a slider: each objective's value in each story."""
    rows = []
    for position in POSITIONS:
        stories = write(soup, preference(name, position), prompts, tokens, seed)
        rows.append({key: list(reward(prompts, stories)) for key, reward in OBJECTIVES.items()})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures how a soup's text changes as each slider moves.")
    parser.add_argument("soup", help="a folder with soup.json, or such a file")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help="use so many of the 64 prompts")
    parser.add_argument("--tokens", type=int, default=400, help="at most, per story")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with bonesoup.Soup.open(options.soup) as soup:
        print("| slider | measured |" + "".join(f" {position:g} |" for position in POSITIONS) + " ± |")
        print("|---|---|" + "---:|" * (len(POSITIONS) + 1))
        for name in OBJECTIVES:
            rows = sweep(soup, name, PROMPTS[: options.prompts], options.tokens, options.seed)
            for key in (name, *(other for other in OBJECTIVES if other != name)):
                means = [statistics.fmean(row[key]) for row in rows]
                error = statistics.fmean(statistics.stdev(row[key]) / len(row[key]) ** 0.5 for row in rows)
                label = f"**{name}**" if key == name else ""
                cells = "".join(f" {abs(mean) if key == 'brief' else mean:.2f} |" for mean in means)
                print(f"| {label} | {UNITS[key]} |{cells} {error:.2f} |", flush=True)


if __name__ == "__main__":
    main()
