"""What the templates have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_PROJECT = """\
{comment}
name: {name}
base: {base}
objectives:
{objectives}
prompts:
  train: {train}
  validation: {validation}
  test: {test}
matrix: {{rule: bone, beta: 0.7}}
adapter: {{rank: {rank}, alpha: {alpha}}}
training:
{training}
output: soup
"""

ANSWERS = """
  steps: 32
  prompts_per_step: 8
  samples_per_prompt: 8
  # For a model of a billion parameters with LoRA; a thousand times smaller models take 1e-3.
  learning_rate: 1.0e-5
  kl: 0.05
  max_tokens: 96
  temperature: 1.0
  seed: 1
"""
"""The training of templates whose texts are answers of a few sentences."""


def project(
    name: str,
    base: str,
    comment: str,
    objectives: str,
    training: str,
    *,
    rank: int,
    alpha: int,
    prompts: Sequence[str] = ("prompts/train.jsonl", "prompts/validation.jsonl", "prompts/test.jsonl"),
) -> str:
    """Return a `soup.yml`."""
    train, validation, test = prompts
    return _PROJECT.format(
        name=json.dumps(name),
        base=json.dumps(base),
        comment="\n".join(f"# {line}" for line in comment.strip().splitlines()),
        objectives=objectives.strip("\n"),
        training=training.strip("\n"),
        rank=rank,
        alpha=alpha,
        train=train,
        validation=validation,
        test=test,
    )


def lines(rows: Sequence[Any]) -> str:
    """Return JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def divided(rows: Sequence[Any], validation: int, test: int) -> dict[str, str]:
    """Return the files of the prompts: the last ones are held out."""
    end = len(rows) - validation - test
    parts = {"train": rows[:end], "validation": rows[end : end + validation], "test": rows[end + validation :]}
    return {f"prompts/{name}.jsonl": lines(part) for name, part in parts.items()}
