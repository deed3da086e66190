"""How far the logits are from those of Hugging Face in f32, for us and for llama.cpp with the same formats."""

from __future__ import annotations

import array
import os
import pathlib
import random
import sys

from cells import Cell
from install import HERE, Cache, Unavailable
from processes import Failed, run
from sides import Metrics

POSITIONS = 64

FORMATS = {
    "bf16": (["bf16"], {"llama.cpp bf16": "bf16"}),
    "f16": (["f16"], {"llama.cpp f16": "f16"}),
    "8bit": (["q8_0", "q8_128"], {"llama.cpp q8_0": "q8_0"}),
    "4bit": (["q4_0"], {"llama.cpp q4_0": "q4_0"}),
}
"""By class: our formats, and the peer's."""


class Accuracy:
    """Measures the cells of the work `accuracy`."""

    def __init__(self, cache: Cache, root: pathlib.Path) -> None:
        self.cache, self.root = cache, root

    def measure(self, cell: Cell) -> dict[str, list[Metrics]]:
        """By contender, the error."""
        folder = self.cache.folder / "logits"
        folder.mkdir(exist_ok=True)
        tokens = folder / "tokens"
        draw = random.Random(1)
        tokens.write_bytes(array.array("i", (draw.randrange(8000) for _ in range(POSITIONS))).tobytes())
        base = self.cache.models(cell.shape) / "base"
        reference = folder / f"{cell.shape}-reference"
        if not reference.exists():
            self.cache.run(
                [self.cache.python(), HERE / "reference_logits.py", base, tokens, reference], "computing in f32"
            )
        mine, theirs = FORMATS[cell.format]
        runs: dict[str, list[Metrics]] = {}
        out = folder / "logits"
        for format in mine:
            program = [self.cache.python(), HERE / "our_logits.py", self.root, base, tokens, out, format]
            self.add(runs, f"bonesoup {format}", program, reference, out)
        for name, format in theirs.items():
            try:
                model = self.cache.gguf(cell.shape, format)
                peer = self.cache.programs("llama.cpp") / "llama_peer"
            except Unavailable as failure:
                print(f"  {name}: {failure}", file=sys.stderr)
                continue
            self.add(runs, name, [peer, "-m", model, "-t", "2", "--tokens", tokens, "--logits", out], reference, out)
        out.unlink(missing_ok=True)
        return runs

    def add(
        self,
        runs: dict[str, list[Metrics]],
        name: str,
        program: list[object],
        reference: pathlib.Path,
        out: pathlib.Path,
    ) -> None:
        """Runs a program that writes logits, and adds their error."""
        try:
            run(program, os.cpu_count() or 1)
            told, _ = run([self.cache.python(), HERE / "logit_error.py", reference, out], 1)
            runs[name] = [{"error": float(told)}]
        except Failed as failure:
            print(f"  {name}: {failure}", file=sys.stderr)
