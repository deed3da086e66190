"""Summaries: short, faithful, complete."""

from __future__ import annotations

from bonesoup.train.templates.parts import ANSWERS, divided, project

_COMMENT = """
Summaries. Each line of the prompts' files is {"prompt": …, "text": …, "reference": …}: what is to be summarised, and a
summary that is good. Short and complete compete.
"""
_OBJECTIVES = """
  - name: short
    label: Short
    description: fewer words
    reward: short
    # Fewer words than these gain nothing more.
    parameters: {least: 8}
    clip: 3
  - name: faithful
    label: Faithful
    description: says nothing that the text does not
    reward: factual
    parameters: {field: text}
    clip: 3
  - name: complete
    label: Complete
    description: says what matters
    reward: complete
    clip: 3
"""
_TEXTS = (
    ("The bridge over the Elm was closed on Monday after an inspector found a crack in one of its arches. Repairs "
     "will take three weeks, and buses go over the mill road meanwhile.",
     "The Elm bridge is closed for three weeks because of a crack; buses take the mill road."),
    ("Nora planted forty tulips in autumn. The frost in March took half of them, but the rest were in flower by "
     "April, and she sold them at the market.",
     "Frost took half of Nora's forty tulips; the others flowered and were sold."),
    ("The library will open on Sundays from May. A vote among its members was nearly unanimous, and two students "
     "have been hired for the desk.",
     "From May the library opens on Sundays, staffed by two students."),
    ("A fox was seen in the school yard for the third morning. The caretaker thinks it lives below the gym, and asks "
     "the children not to feed it.",
     "A fox probably lives below the gym; children are asked not to feed it."),
)  # fmt: skip


def files(base: str) -> dict[str, str]:
    """Return the project's files."""
    rows = [{"prompt": f"{text}\nSummary:", "text": text, "reference": reference} for text, reference in _TEXTS]
    made = project("summary", base, _COMMENT, _OBJECTIVES, ANSWERS, rank=16, alpha=32)
    return {"soup.yml": made, **divided(rows, 1, 1)}
