"""One line per step of a run, and what the whole run cost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.train.files import write_text
from bonesoup.train.scoring import Scoring


class RunLog:
    """`log.jsonl`. Times and counts go on from the line of the step that a run resumes at."""

    def __init__(self, path: Path, resume_step: int) -> None:
        self._path = path
        kept = [line for line in read(path) if line["step"] <= resume_step]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        last: Mapping[str, Any] = kept[-1] if kept else {}
        self._before = {key: last.get(key, 0) for key in ("seconds", "cpu_seconds", "samples", "tokens")}
        self._start, self._cpu_start = time.monotonic(), time.process_time()
        self.samples: int = self._before["samples"]
        self.tokens: int = self._before["tokens"]

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, without the time between a kill and going on."""
        return float(self._before["seconds"]) + time.monotonic() - self._start

    @property
    def cpu_seconds(self) -> float:
        """CPU time of this process for the run so far."""
        return float(self._before["cpu_seconds"]) + time.process_time() - self._cpu_start

    def add(self, step: int, samples: int, logs: Mapping[str, float], objectives: Sequence[Scoring]) -> dict[str, Any]:
        """Write the line of a step from TRL's metrics, and return it.

        ``kl`` is in nats per completion, as in J; TRL's metric is per token. ``perplexity`` is that of the completions
        under the base: the cross entropy of policy and base is the policy's entropy plus its KL to the base.
        """
        length = logs["completions/mean_length"]
        self.samples += samples
        self.tokens += round(samples * length)
        line = {
            "step": step,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "samples": self.samples,
            "tokens": self.tokens,
            "kl": logs["kl"] * length,
            "rewards": {
                scoring.__name__: {"raw": scoring.take_raw(), "normalised": logs[f"rewards/{scoring.__name__}/mean"]}
                for scoring in objectives
            },
            "reward": logs["reward"],
            "mean_length": length,
            "truncated": logs["completions/clipped_ratio"],
            "entropy": logs["entropy"],
            "perplexity": math.exp(min(50.0, logs["entropy"] + logs["kl"])),
            "learning_rate": logs["learning_rate"],
        }
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, without a last one that a kill cut off."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
