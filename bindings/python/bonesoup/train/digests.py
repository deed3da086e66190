"""Digests by which a result knows what it was made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error

_PIECE = 1 << 20
_PIECES = 64
# Of these, what says where a model came from or who wrote it, which does not change its texts.
_ELSEWHERE = ("base_model_name_or_path", "_name_or_path", "transformers_version", "peft_version")


def of_text(content: bytes) -> str:
    """Return the SHA-256 of bytes in memory."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def of_file(file: Path) -> str:
    """Return a digest of a file: of its size and content, or beyond 64 MiB of 64 pieces of 1 MiB, spread evenly from
    its beginning to its end. Training changes weights everywhere, so that pieces show it."""
    size = file.stat().st_size
    digest = hashlib.sha256(f"{size} ".encode())
    with file.open("rb") as stream:
        if size <= _PIECES * _PIECE:
            while part := stream.read(_PIECE):
                digest.update(part)
        else:
            for number in range(_PIECES):
                stream.seek((size - _PIECE) * number // (_PIECES - 1))
                digest.update(stream.read(_PIECE))
    return f"sha256:{digest.hexdigest()}"


def of_model(folder: Path) -> str:
    """Return a digest of a model or an adapter: its weights, configuration and tokenizer, wherever the folder is."""
    found: list[tuple[str, Any]] = []
    for file in sorted(folder.iterdir()):
        if file.name in ("config.json", "adapter_config.json"):
            found.append((file.name, _settings(file)))
        elif file.suffix in (".safetensors", ".bin") or file.name in ("tokenizer.json", "tokenizer.model"):
            found.append((file.name, of_file(file)))
    return of_text(json.dumps(found, sort_keys=True).encode())


def _settings(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as failure:
        raise error(Status.MALFORMED, f"{file} is not JSON: {failure}") from None
    if not isinstance(content, dict):
        raise error(Status.MALFORMED, f"{file} is no JSON object")
    return {key: value for key, value in content.items() if key not in _ELSEWHERE}
