"""The methods that a soup is compared with: small types in one table."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from bonesoup.errors import Status, error
from bonesoup.eval.methods.best_of import BestOf
from bonesoup.eval.methods.blends import Blended, Merged, Prompted, Trained, Uniform
from bonesoup.eval.methods.logits import LogitMix
from bonesoup.eval.methods.method import Method, Point
from bonesoup.eval.preferences import Preference
from bonesoup.eval.solving import unguarded
from bonesoup.merging import require_method
from bonesoup.options import Format, MethodChoice, Setting
from bonesoup.soup import Soup

__all__ = [
    "METHODS",
    "BestOf",
    "Blended",
    "LogitMix",
    "Merged",
    "Method",
    "Point",
    "Prompted",
    "Trained",
    "Uniform",
    "make",
    "parts",
]

# Makes a method of the soup that is evaluated, what stands after the colon, and the strengths.
Maker = Callable[[Soup, str, Sequence[float]], Method]


def _soup(own: Soup, folder: str) -> Soup:
    return unguarded(Soup.open(folder, weights=cast(Format, own.info.weights))) if folder else own


def _count(text: str) -> int:
    if text and (not text.isascii() or not text.isdigit() or int(text) < 1):
        raise error(Status.INVALID_ARGUMENT, f"best-of:{text}: a whole number of texts is needed")
    return int(text or 4)


def _rewarded(own: Soup, folder: str, strengths: Sequence[float]) -> Method:
    soup = _soup(own, folder)
    count = len(soup.backbones)
    identity = tuple(tuple(float(row == column) for column in range(count)) for row in range(count))
    if soup.matrix != identity:
        message = f"{folder} is no Rewarded Soup: its backbone matrix is not the identity"
        raise error(Status.MISMATCH, message)
    return Blended("rewarded-soup", soup, strengths, "a backbone per objective, weights averaged by μ")


def _trainings(pattern: str) -> dict[Preference, str]:
    folders = {}
    for folder in sorted(glob.glob(pattern)):
        if (Path(folder) / "soup.json").is_file():
            with Soup.open(folder) as soup:
                matrix = soup.matrix or ()
            if len(matrix) == 1:
                folders[matrix[0]] = folder
    return folders


def _trained(own: Soup, pattern: str, strengths: Sequence[float]) -> Method:
    folders = _trainings(pattern)
    if not folders:
        raise error(Status.NOT_FOUND, f"no folder {pattern} is a soup of one backbone, trained on one mix")
    return Trained("morlhf", {mix: _soup(own, folder) for mix, folder in folders.items()}, strengths)


def _merged(own: Soup, text: str, strengths: Sequence[float]) -> Method:
    asked, _, folder = text.partition(":")
    name, *settings = asked.split(",")
    require_method(name)
    chosen = MethodChoice(name, tuple(_setting(text, setting) for setting in settings), seed=1)
    # A comma parts names where they are listed.
    label = "-".join(["merge", name, *settings, *([Path(folder).name] if folder else [])])
    return Merged(label, _soup(own, folder), chosen, strengths)


def _setting(text: str, setting: str) -> Setting:
    name, _, value = setting.partition("=")
    try:
        return Setting(name.strip(), float(value))
    except ValueError:
        raise error(Status.INVALID_ARGUMENT, f"merge:{text}: {setting} is not PARAMETER=NUMBER") from None


METHODS: dict[str, tuple[Maker, str]] = {
    "rewarded-soup": (_rewarded, "rewarded-soup:FOLDER, a soup whose matrix is the identity"),
    "soup": (
        lambda own, folder, strengths: Blended(
            Path(folder).name, _soup(own, folder), strengths, f"the blends of the soup {Path(folder).name}"
        ),
        "soup:FOLDER, any other soup",
    ),
    "uniform": (lambda own, folder, strengths: Uniform("uniform", _soup(own, folder), strengths), "uniform[:FOLDER]"),
    "merge": (
        _merged,
        "merge:METHOD[,PARAMETER=NUMBER…][:FOLDER], as merge:ties,density=.5; bonesoup methods lists them",
    ),
    "logits": (
        lambda own, folder, strengths: LogitMix("logits", _soup(own, folder), strengths),
        "logits[:FOLDER], the backbones' logits mixed",
    ),
    "prompting": (lambda own, rest, strengths: Prompted("prompting", own), "prompting, the base asked in words"),
    "best-of": (
        lambda own, count, strengths: BestOf("best-of-n", own, own=_count(count)),
        "best-of[:N], of N texts of the base the best",
    ),
    "morlhf": (_trained, "morlhf:PATTERN, folders of one training each, on one mix"),
}


def parts(text: str) -> tuple[list[Path], str]:
    """Return the soups that the argument of NAME:ARGUMENT names, and what else it says."""
    name, _, argument = text.partition(":")
    if name == "morlhf":
        return [Path(folder) for folder in _trainings(argument).values()], ""
    if name in ("rewarded-soup", "soup", "uniform", "logits"):
        return ([Path(argument)] if argument else []), ""
    if name == "merge":
        method, _, folder = argument.partition(":")
        return ([Path(folder)] if folder else []), method
    return [], argument


def make(text: str, own: Soup, strengths: Sequence[float]) -> Method:
    """Make a method from NAME or NAME:ARGUMENT."""
    name, _, argument = text.partition(":")
    if name not in METHODS:
        ways = "; ".join(usage for _, usage in METHODS.values())
        raise error(Status.NOT_FOUND, f"no method is called {name}; there are {ways}")
    return METHODS[name][0](own, argument, strengths)
