"""How far the logits are from those of Hugging Face in f32: ours, and those of peers that tell all of theirs."""

from __future__ import annotations

import array
import os
import pathlib
import random
import sys
from collections.abc import Iterator

from cells import Cell
from install import HERE, Cache, Unavailable
from processes import Failed, run
from sides import Metrics

POSITIONS = 64

OURS = {"bf16": ["bf16"], "f16": ["f16"], "8bit": ["q8_0", "q8_128"], "4bit": ["q4_0"]}
LLAMA = {"bf16": "bf16", "f16": "f16", "8bit": "q8_0", "4bit": "q4_0"}
OPENVINO = {"bf16": "bf16", "8bit": "int8", "4bit": "int4"}
"""By class, the formats."""


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
        runs: dict[str, list[Metrics]] = {}
        out = folder / "logits"
        for format in OURS[cell.format]:
            program = [self.cache.python(), HERE / "our_logits.py", self.root, base, tokens, out, format]
            self.add(runs, f"bonesoup {format}", program, reference, out)
        for name, program in self.peers(cell, tokens, out):
            self.add(runs, name, program, reference, out)
        out.unlink(missing_ok=True)
        return runs

    def peers(self, cell: Cell, tokens: pathlib.Path, out: pathlib.Path) -> Iterator[tuple[str, list[object]]]:
        """By name, what writes a peer's logits."""
        try:
            format = LLAMA[cell.format]
            model, peer = self.cache.gguf(cell.shape, format), self.cache.programs("llama.cpp") / "llama_peer"
            yield f"llama.cpp {format}", [peer, "-m", model, "-t", "2", "--tokens", tokens, "--logits", out]
        except Unavailable as failure:
            print(f"  llama.cpp: {failure}", file=sys.stderr)
        if cell.format not in OPENVINO:
            return
        try:
            format = OPENVINO[cell.format]
            model = self.cache.openvino(cell.shape, format)
            for precision in ["bf16"] if format == "bf16" else ["bf16", "f32"]:
                script = HERE / "openvino_logits.py"
                yield f"OpenVINO {format} {precision}", [self.cache.python(), script, model, tokens, out, precision]
        except Unavailable as failure:
            print(f"  OpenVINO: {failure}", file=sys.stderr)

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
