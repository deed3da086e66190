"""What the three sliders are about: three numbers that are counted in a story. Standard library only."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_WORD = re.compile(r"[A-Za-z']+")

_HAPPY = """
amazing awesome beautiful best better brave bright calm care cared careful celebrate cheer cheered cheerful clever
cozy cuddle cute dance danced delicious delight delighted enjoy enjoyed excited exciting fair fantastic favorite
friend friendly friends fun funny generous gentle giggle giggled giggling glad good grateful great happily happiness
happy hero hope hug hugged hugging hugs joy joyful kind kindness kiss kissed laugh laughed laughing laughter like
liked love loved lovely loves loving lucky magic magical nice party peaceful perfect play played playful playing
pleased polite pretty proud relax safe share shared sharing shiny smart smile smiled smiles smiling special strong
sunny surprise sweet thank thanked thankful thanks treasure warm welcome win wise won wonderful yay yummy
"""
_SAD = """
afraid alone angry annoyed ashamed awful bad bit blood bored break broke broken cold cried crossly cruel cry crying
danger dangerous dark dead died dirty disappointed dizzy embarrassed envious fail failed fear fell fight fighting
fought frightened frown grumpy guilty harm hate hated hit hurt ill jealous lonely lost mad mean mess messy miss missed
mistake monster naughty nervous pain painful poor rude ruined sad sadly sadness scare scared scary scream screamed
sick sorry stole stupid terrible threw tired trouble ugly unhappy unkind upset weak weep worried worry worse worst
wrong yell yelled
"""
VALENCES: dict[str, float] = {**dict.fromkeys(_HAPPY.split(), 1.0), **dict.fromkeys(_SAD.split(), -1.0)}


def read_lexicon(file: Path) -> dict[str, float]:
    """Valences from lines of a word, a tab and a number, as in VADER's lexicon; further columns are left out."""
    pairs = (line.split("\t")[:2] for line in file.read_text(encoding="utf-8").splitlines() if "\t" in line)
    return {word.lower(): float(valence) for word, valence in pairs}


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def brief(story: str) -> float:
    """Minus the number of words."""
    return -float(len(words(story)))


def happy(story: str, valences: Mapping[str, float] = VALENCES) -> float:
    """The sum of the words' valences per 100 words: with the own list, happy words less sad ones."""
    found = words(story)
    return 100 * sum(valences.get(word, 0.0) for word in found) / max(1, len(found))


def talkative(story: str) -> float:
    """The percentage of the words that stand between quotation marks."""
    spoken = sum(len(words(part)) for part in story.split('"')[1::2])
    return 100 * spoken / max(1, len(words(story)))


OBJECTIVES: dict[str, Callable[[str], float]] = {"brief": brief, "happy": happy, "talkative": talkative}


def bone_matrix(count: int, beta: float) -> list[list[float]]:
    """Bone Soup's rule: β on the diagonal, the rest of each row shared equally."""
    rest = (1 - beta) / (count - 1)
    return [[beta if i == j else rest for j in range(count)] for i in range(count)]


def norms(rewards: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Mean and deviation of each objective over stories: rewards[objective][story]."""
    return [(statistics.fmean(row), statistics.pstdev(row)) for row in rewards]


def best(
    rewards: Sequence[Sequence[float]], mix: Sequence[float], norm: Sequence[tuple[float, float]], count: int
) -> list[int]:
    """The `count` stories that rank highest by Σ_j mix_j·(r_j − mean_j)/deviation_j, best first."""
    scores = [
        sum(m * (r - mean) / deviation for m, r, (mean, deviation) in zip(mix, story, norm)) for story in zip(*rewards)
    ]
    return sorted(range(len(scores)), key=lambda index: -scores[index])[:count]
