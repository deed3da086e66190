"""Answers from passages: relevant, factual, complete (the objectives of the Bone Soup paper), all counted."""

from __future__ import annotations

from typing import Any

from bonesoup.train.templates.parts import ANSWERS, divided, project

_COMMENT = """
Answers to questions from passages. Each line of the prompts' files is
{"prompt": …, "question": …, "passages": [...], "reference": …}; the rewards read what stands beside the prompt.
The few lines here show the form: recipes/qa makes such files from QA-Feedback. In place of counted rewards, a reward
model goes in as   reward: classifier   with   parameters: {model: NAME, pair: true}.
"""
_OBJECTIVES = """
  - name: relevance
    label: Relevant
    description: takes up what was asked, says nothing twice
    reward: relevance
    clip: 3
  - name: factuality
    label: Factual
    description: says what the passages say
    reward: factual
    clip: 3
  - name: completeness
    label: Complete
    description: says all that belongs to the answer
    reward: complete
    clip: 3
"""
_ROWS = (
    ("What do bees make?", "Bees gather nectar and make honey of it in the hive.", "Bees make honey of nectar."),
    ("Where do penguins live?", "Penguins live in the south, most of them near Antarctica.", "In the south."),
    ("What is ice?", "Ice is water that is frozen, below zero degrees Celsius.", "Ice is frozen water."),
    ("Who wrote Hamlet?", "The play Hamlet was written by William Shakespeare about 1600.", "William Shakespeare."),
    ("How many legs has a spider?", "Spiders have eight legs, insects six.", "A spider has eight legs."),
    ("Why is the sky blue?", "Air scatters blue light more than red light.", "Air scatters blue light the most."),
)


def row(question: str, passages: list[str], reference: str) -> dict[str, Any]:
    """Return one line of a prompts' file."""
    text = "\n".join(passages)
    return {
        "prompt": f"{text}\nQuestion: {question}\nAnswer:",
        "question": question,
        "passages": passages,
        "reference": reference,
    }


def files(base: str) -> dict[str, str]:
    """Return the project's files."""
    rows = [row(question, [passage], reference) for question, passage, reference in _ROWS]
    text = project("qa", base, _COMMENT, _OBJECTIVES, ANSWERS, rank=16, alpha=32)
    return {"soup.yml": text, **divided(rows, 1, 1)}
