"""
Makes a project for question answering of a file of QA-Feedback (Wu et al. 2023; Apache-2.0).

    python prepare.py --data dev.json --base MODEL --out qa [--characters 1200]
    bonesoup train qa

Rewards are counted, not judged: relevance (content words of the question that the answer takes up, less what it
repeats), factuality (content words of the answer that the passages have), completeness (content words of the reference
that the answer has).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonesoup.train.templates import create
from bonesoup.train.templates.parts import divided
from bonesoup.train.templates.qa import row

VALIDATION, TEST = 32, 128


def passages_of(item: dict[str, Any], characters: int) -> list[str]:
    """The passages, each cut to its share of the characters; what the reward reads is what the prompt has."""
    texts = [" ".join(passage["content"].split()) for passage in item["passages"]]
    share = characters // max(1, len(texts))
    return [text[:share].rsplit(" ", 1)[0] for text in texts]


def rows(items: Sequence[dict[str, Any]], characters: int, seed: int) -> list[dict[str, Any]]:
    """The lines of the prompts' files, shuffled; the first answer of each is its reference."""
    found = [
        row(item["question"], passages_of(item, characters), item["answer"][0]) for item in items if item["answer"]
    ]
    random.Random(seed).shuffle(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a project of QA-Feedback.")
    parser.add_argument("--data", type=Path, required=True, help="a JSON file of QA-Feedback")
    parser.add_argument("--base", required=True, help="the model to tune: a folder or a name on the Hub")
    parser.add_argument("--out", type=Path, required=True, help="the project's folder")
    parser.add_argument("--characters", type=int, default=1200, help="of all passages of a prompt together")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    place = Path(options.base)
    create("qa", options.out, str(place.resolve()) if place.exists() else options.base)
    items = json.loads(options.data.read_text(encoding="utf-8"))
    files = divided(rows(items, options.characters, options.seed), VALIDATION, TEST)
    for name, text in files.items():
        (options.out / name).write_text(text, encoding="utf-8")
        print(f"wrote {options.out / name}: {text.count(chr(10))} prompts")


if __name__ == "__main__":
    main()
