"""Files that are written whole or not at all, so that a kill leaves the old one or the new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_text(file: Path, text: str) -> None:
    """Write a text."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, file)


def write_json(file: Path, content: Any) -> None:
    """Write JSON."""
    write_text(file, json.dumps(content, indent=2) + "\n")
