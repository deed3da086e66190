"""Rewards that are counted in the completion alone: for stories, and for trying things out."""

from __future__ import annotations

import re

from bonesoup.rewards.registry import per_text, register
from bonesoup.rewards.word_lists import DESCRIBING, HAPPY, SAD

_WORD = re.compile(r"[^\W\d_](?:[\w']*\w)?")
_END = re.compile(r"[.!?…]+[\"'”’)]*(?:\s+|$)|\n+")
# What an empty text counts as, so that ending at once is no way to be brief.
_LONGEST_SENTENCE = 30.0


def words(text: str) -> list[str]:
    """Return the words in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def sentences(text: str) -> list[str]:
    """Return the parts between full stops, question and exclamation marks and line ends that have a word."""
    return [part for part in _END.split(text) if _WORD.search(part)]


@register("brief")
@per_text
def brief(text: str) -> float:
    """Minus the words per sentence."""
    found = sentences(text)
    return -len(words(text)) / len(found) if found else -_LONGEST_SENTENCE


@register("happy")
@per_text
def happy(text: str) -> float:
    """Happy less sad words of a short own list, per 100 words."""
    found = words(text)
    return 100.0 * sum((word in HAPPY) - (word in SAD) for word in found) / max(1, len(found))


@register("vivid")
@per_text
def vivid(text: str) -> float:
    """Words of a short own list that say how things look, sound and feel, per sentence."""
    return sum(word in DESCRIBING for word in words(text)) / max(1, len(sentences(text)))


@register("talkative")
@per_text
def talkative(text: str) -> float:
    """The percentage of the words that stand between quotation marks."""
    spoken = sum(len(words(part)) for part in re.split('["“”]', text)[1::2])
    return 100.0 * spoken / max(1, len(words(text)))


@register("varied")
@per_text
def varied(text: str) -> float:
    """The percentage of the words that did not come before."""
    found = words(text)
    return 100.0 * len(set(found)) / max(1, len(found))


@register("short")
@per_text
def short(text: str, least: int = 1) -> float:
    """Minus the number of words; fewer than `least` gain nothing more."""
    return -float(max(least, len(words(text))))


@register("plain")
@per_text
def plain(text: str) -> float:
    """Flesch's reading ease (1948), with groups of vowels as syllables."""
    found, parts = words(text), sentences(text)
    if not found or not parts:
        return 0.0
    syllables = sum(max(1, len(re.findall("[aeiouy]+", re.sub("e$", "", word)))) for word in found)
    return 206.835 - 1.015 * len(found) / len(parts) - 84.6 * syllables / len(found)


@register("contains")
@per_text
def contains(text: str, pattern: str) -> float:
    """How often a regular expression matches."""
    return float(len(re.findall(pattern, text)))
