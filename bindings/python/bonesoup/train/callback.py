"""TRL's metrics into the run's log, and a line on the terminal now and then; no checkpoint of the last step."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from bonesoup.train.log import RunLog
from bonesoup.train.scoring import Scoring
from bonesoup.train.settings import Training


class LogSteps(TrainerCallback):
    """Writes `log.jsonl` on the main process."""

    def __init__(self, log: RunLog | None, training: Training, scorings: Sequence[Scoring]) -> None:
        self._log, self._training, self._scorings = log, training, scorings

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Leave out the checkpoint of the last step, which would take the place of one to go on from."""
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **others: Any) -> None:
        """Write a step's line."""
        if self._log is None or logs is None or "kl" not in logs:
            return
        line = self._log.add(state.global_step, self._training.samples_per_step, logs, self._scorings)
        every = max(1, self._training.steps // 10)
        if state.global_step % every == 0 or state.global_step == self._training.steps:
            rewards = ", ".join(f"{name} {both['normalised']:+.2f}" for name, both in line["rewards"].items())
            print(
                f"  step {state.global_step} of {self._training.steps}: {rewards}; KL {line['kl']:.1f}, "
                f"J {line['reward'] - self._training.kl * line['kl']:+.3f}, {line['mean_length']:.0f} tokens, "
                f"{line['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )
