"""Reading prompts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.rewards.reward import Row


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Prompts and what stands beside each."""

    texts: tuple[str, ...]
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, count: int) -> Prompts:
        """Return `count` of them, from the beginning again where there are fewer."""
        indices = [index % len(self.texts) for index in range(count)]
        return Prompts(tuple(self.texts[index] for index in indices), tuple(self.rows[index] for index in indices))


def read(path: Path) -> Prompts:
    """Read one prompt per line, or `.json` (a list) or `.jsonl` of texts or of objects with "prompt"."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as failure:
        raise error(Status.MALFORMED, f"{path} is not UTF-8: {failure.reason} at byte {failure.start}") from None
    try:
        if path.suffix == ".json":
            items = json.loads(text)
        else:
            # splitlines() would break at characters that JSON allows within texts, as U+2028.
            lines = [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
            items = [json.loads(line) for line in lines] if path.suffix == ".jsonl" else lines
    except json.JSONDecodeError as failure:
        raise error(Status.MALFORMED, f"{path} is not JSON: {failure}") from None
    if not isinstance(items, list) or not items:
        raise error(Status.MALFORMED, f"{path} has no prompts")
    texts, rows = [], []
    for number, item in enumerate(items):
        row = {"prompt": item} if isinstance(item, str) else item
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise error(Status.MALFORMED, f'{path}: item {number} is neither a text nor an object with "prompt"')
        if not row["prompt"].strip():
            raise error(Status.MALFORMED, f"{path}: item {number} is an empty prompt")
        texts.append(row["prompt"])
        rows.append({key: value for key, value in row.items() if key != "prompt"})
    return Prompts(tuple(texts), tuple(rows))
