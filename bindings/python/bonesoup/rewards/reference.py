"""Rewards that compare an answer with what stands beside its prompt: for question answering and summaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bonesoup.rewards.registry import register
from bonesoup.rewards.reward import Row
from bonesoup.rewards.text import words
from bonesoup.rewards.word_lists import word_set

# Words that say nothing about what a text is about.
_COMMON = word_set(
    """
    a about after all also an and any are as at be been before but by can could did do does for from had has have he her
    his how if in into is it its me more most my no not of on one or other our out over said she so some such than that
    the their them then there these they this to up was we were what when where which who why will with would you your
    """
)


def content(text: str) -> list[str]:
    """Return the words that say what a text is about."""
    return [word for word in words(text) if word not in _COMMON]


def _texts(row: Row, field: str) -> list[str]:
    value = row.get(field, ())
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, Iterable) else [str(value)]


def _share(part: Sequence[str], whole: Iterable[str]) -> float:
    known = set(whole)
    return sum(word in known for word in part) / len(part) if part else 0.0


@register("relevance")
def relevance(
    prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row], field: str = "question"
) -> list[float]:
    """The percentage of the question's content words that the answer takes up, less that of the answer's words that
    it says again."""
    scores = []
    for prompt, completion, row in zip(prompts, completions, rows):
        asked = content(" ".join(_texts(row, field)) or prompt)
        said = content(completion)
        again = 1.0 - len(set(said)) / len(said) if said else 1.0
        scores.append(100.0 * (_share(asked, said) - again))
    return scores


@register("factual")
def factual(
    prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row], field: str = "passages"
) -> list[float]:
    """The percentage of the answer's content words that the passages have: what can't be found there is made up."""
    return [
        100.0 * _share(content(completion), content(" ".join(_texts(row, field))))
        for completion, row in zip(completions, rows)
    ]


@register("complete")
def complete(
    prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row], field: str = "reference"
) -> list[float]:
    """The percentage of the reference's content words that the answer has, as often as the reference has them."""
    scores = []
    for completion, row in zip(completions, rows):
        said, wanted = Counter(content(completion)), Counter(content(" ".join(_texts(row, field))))
        scores.append(100.0 * sum((said & wanted).values()) / max(1, sum(wanted.values())))
    return scores
