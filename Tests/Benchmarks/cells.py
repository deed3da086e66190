"""What is compared: a cell is a model's shape, a class of formats, a number of threads and a piece of work."""

from __future__ import annotations

import dataclasses
import fnmatch

SHAPES = {"qwen": "qwen2.5-0.5b", "llama": "llama-3.2-1b"}
"""Short names, and make_models.py's."""

CLASSES = ("bf16", "f16", "8bit", "4bit")
THREADS = (1, 2)

WORK = {
    "decode": "tokens/s, one by one from nothing",
    "prefill": "tokens/s of a prompt of 512",
    "batch": "tokens/s in all of 16 sessions that decode together",
    "live": "three rank-16 adapters on all linear layers against none",
    "first": "seconds from opening to the first token, warm page cache",
    "fold": "GB/s read and written, folding three full backbones",
    "accuracy": "error of the logits against f32: rms over their standard deviation",
}
"""The pieces of work, and what is told of each."""

PROMPT = 512
TOKENS = 32
SESSIONS = 16
STEPS = 16


@dataclasses.dataclass(frozen=True)
class Cell:
    """One comparison."""

    shape: str
    format: str
    threads: int
    work: str

    @property
    def name(self) -> str:
        """As the command line and the results call it."""
        return f"{self.shape}/{self.format}/{self.threads}/{self.work}"


def all_cells() -> list[Cell]:
    """Every cell that means something, in the order of the report."""
    return [
        Cell(shape, format, threads, work)
        for work in WORK
        for shape in SHAPES
        for format in CLASSES
        for threads in THREADS
        if not (work == "accuracy" and threads != THREADS[-1])
    ]


def chosen(patterns: list[str]) -> list[Cell]:
    """The cells whose names match one of the patterns, such as ``qwen/*/2/decode``."""
    return [cell for cell in all_cells() if any(fnmatch.fnmatch(cell.name, pattern) for pattern in patterns)]
