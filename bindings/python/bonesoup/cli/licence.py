"""Which licence a model folder states."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_CARDS = ("README.md", "MODEL_CARD.md", "model_card.md")
_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING")


def licence(folder: Path) -> str | None:
    """Return the licence in the front matter of the model's card, in config.json, or a licence file's first line."""
    return next(_stated(folder), None)


def _stated(folder: Path) -> Iterator[str]:
    for name in _CARDS:
        if (folder / name).is_file():
            yield from _of_card((folder / name).read_text(encoding="utf-8", errors="replace"))
    config = folder / "config.json"
    if config.is_file():
        try:
            content = json.loads(config.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        found = content.get("license") if isinstance(content, dict) else None
        if isinstance(found, str) and found.strip():
            yield found.strip()
    for name in _FILES:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").split("\n")
            yield from (line.strip() for line in lines if line.strip())


def _of_card(text: str) -> Iterator[str]:
    """Read `license` of the YAML between the card's first two lines of dashes: a word, or a list of them."""
    lines = text.lstrip("\ufeff").split("\n")
    if lines[0].strip() != "---":
        return
    fields: dict[str, list[str]] = {}
    name = ""
    for line in lines[1:]:
        if line.strip() in ("---", "..."):
            break
        if entry := re.match(r"(\w+):\s*(.*)", line):
            name = entry.group(1)
            fields[name] = [part for part in map(_word, entry.group(2).strip("[]").split(",")) if part]
        elif (item := re.match(r"\s*-\s+(.*)", line)) and _word(item.group(1)):
            fields.setdefault(name, []).append(_word(item.group(1)))
    # "other" has its name, or a link, beside it.
    for key in ("license_name", "license_link"):
        if fields.get("license") == ["other"] and fields.get(key):
            fields["license"] = fields[key]
    if fields.get("license"):
        yield ", ".join(fields["license"])


def _word(text: str) -> str:
    """Return a YAML scalar without its comment and quotes."""
    return re.sub(r"\s+#.*", "", text).strip().strip("'\"")
