"""Reading stories from files, and cleaning, splitting and dividing them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

SEPARATOR = "<|endoftext|>"
_PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...", "\u00a0": " "})


def clean(story: str) -> str:
    """The story with straight quotes, single spaces, one line break between paragraphs and none around it."""
    lines = (" ".join(line.split()) for line in story.translate(_PLAIN).splitlines())
    return "\n".join(line for line in lines if line)


def is_story(story: str) -> bool:
    """Whether a cleaned text is whole and cased: plain ASCII that starts with a capital and ends with a full stop."""
    return (
        story.isascii()
        and 150 <= len(story) <= 3000
        and (story[0].isupper() or story[0] == '"')
        and story[-1] in '.!?"'
        and story.count('"') % 2 == 0
    )


def read(files: Iterable[Path]) -> list[str]:
    """
    The distinct whole stories of some files, cleaned, in the order of the files.

    A ``.json`` file is a list of stories; in any other file ``<|endoftext|>`` separates them. Two stories whose first
    120 characters are equal count as one.
    """
    seen: set[str] = set()
    stories: list[str] = []
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        parts = json.loads(text) if file.suffix == ".json" else text.split(SEPARATOR)
        for part in parts:
            story = clean(part)
            start = story[:120].lower()
            if is_story(story) and start not in seen:
                seen.add(start)
                stories.append(story)
    return stories


def divide(stories: Sequence[str], held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """The stories to train on, and `held_out` others to measure on."""
    shuffled = list(stories)
    random.Random(seed).shuffle(shuffled)
    return shuffled[held_out:], shuffled[:held_out]


def openings(stories: Iterable[str], count: int, words: int = 4) -> list[str]:
    """`count` distinct prompts: the first words of held-out stories."""
    found: dict[str, None] = {}
    for story in stories:
        start = " ".join(story.split("\n")[0].split()[:words])
        if '"' not in start and not start.endswith((".", ",", "!", "?")):
            found[start] = None
        if len(found) == count:
            break
    return list(found)
