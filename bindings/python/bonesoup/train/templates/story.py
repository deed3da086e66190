"""Stories for small children: brief, happy, vivid. Everything is counted, so it runs anywhere."""

from __future__ import annotations

import random

from bonesoup.train.templates.parts import project

_OPENINGS = (
    "Once upon a time, there was a {quality} {hero}",
    "One day, a {quality} {hero}",
    "There once was a {quality} {hero} who",
    "In a small town, a {quality} {hero}",
    "The {quality} {hero}",
    "Every morning, the {quality} {hero}",
)
_QUALITIES = ("little", "big", "kind", "brave", "silly", "old", "small", "clever", "hungry", "lonely", "young")
_HEROES = (
    "boy", "girl", "dog", "cat", "bird", "bear", "rabbit", "fish", "mouse", "frog", "duck", "lion", "pig", "farmer",
    "queen", "monkey",
)  # fmt: skip
TRAINING, VALIDATION, TEST = 640, 64, 256

_COMMENT = """
Three sliders for stories: short sentences, happy words, and words for what things look and sound like.
Sentences that describe are long, so "brief" and "vivid" compete.
"""
_OBJECTIVES = """
  - name: brief
    label: Brief
    description: shorter sentences
    reward: brief
    clip: 3
  - name: happy
    label: Happy
    description: more happy words, fewer sad ones
    reward: happy
    clip: 3
  - name: vivid
    label: Vivid
    description: more of what things look, sound and feel like
    reward: vivid
    clip: 3
"""
_TRAINING = """
  # A pilot: a minute or two per backbone for a model of a million parameters on one core. For a model of a billion
  # begin with learning_rate 1e-5, and see whether J rises.
  steps: 48
  prompts_per_step: 12
  samples_per_prompt: 8
  learning_rate: 3.0e-3
  kl: 0.1
  max_tokens: 64
  temperature: 1.0
  seed: 1
"""


def prompts() -> list[str]:
    """Return all combinations, shuffled once and for all."""
    found = [
        opening.format(quality=quality, hero=hero).replace(" a old ", " an old ")
        for opening in _OPENINGS
        for quality in _QUALITIES
        for hero in _HEROES
    ]
    random.Random(0).shuffle(found)
    return found


def files(base: str) -> dict[str, str]:
    """Return the project's files."""
    found = prompts()
    parts = {"train": found[:TRAINING], "validation": found[TRAINING : TRAINING + VALIDATION], "test": found[-TEST:]}
    texts = {f"prompts/{name}.txt": "".join(f"{prompt}\n" for prompt in part) for name, part in parts.items()}
    text = project("story", base, _COMMENT, _OBJECTIVES, _TRAINING, rank=8, alpha=16, prompts=tuple(texts))
    return {"soup.yml": text, **texts}
