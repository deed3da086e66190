"""Projects to begin with: each a `soup.yml`, its prompts and its rewards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.train.templates import assistant, qa, story, summary

# Name → the files of a project for a base.
TEMPLATES: dict[str, Callable[[str], dict[str, str]]] = {
    "story": story.files,
    "qa": qa.files,
    "assistant": assistant.files,
    "summary": summary.files,
}


def create(template: str, folder: Path, base: str) -> list[Path]:
    """Write a project into a folder that does not exist yet or is empty, and return its files."""
    if template not in TEMPLATES:
        raise error(Status.NOT_FOUND, f"no template is called {template}; there are {', '.join(TEMPLATES)}")
    if folder.exists() and any(folder.iterdir()):
        raise error(Status.INVALID_ARGUMENT, f"{folder} is not empty; nothing is written over")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in TEMPLATES[template](base).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return written
