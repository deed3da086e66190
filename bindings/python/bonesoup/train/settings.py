"""What a project says about its objectives, prompts and training: the parts of `soup.yml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Objective:
    """One thing that is rewarded."""

    name: str
    # As `bonesoup.rewards.load` takes it.
    reward: str
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    label: str | None = None
    description: str | None = None
    # The bound of the normalised reward, in deviations; None: no bound.
    clip: float | None = None


@dataclasses.dataclass(frozen=True)
class PromptFiles:
    """Files of one prompt per line, of a JSON list, or of JSON Lines with "prompt" and further columns."""

    train: Path
    # What choices (β, factors) are made on.
    validation: Path | None = None
    # What results are reported on; nothing is chosen by it.
    test: Path | None = None


@dataclasses.dataclass(frozen=True)
class Adapter:
    """A LoRA adapter."""

    rank: int = 8
    alpha: float = 16.0
    # Names of linear layers; "all-linear" is all but the output head.
    targets: tuple[str, ...] | str = "all-linear"


@dataclasses.dataclass(frozen=True)
class Training:
    """How long and how a backbone is trained; the same for each, so that they can be compared."""

    steps: int = 100
    prompts_per_step: int = 16
    samples_per_prompt: int = 8
    learning_rate: float = 1e-4
    # β_KL, in normalised reward per nat of KL to the base over a whole completion: J = mix·r − kl·KL.
    kl: float = 0.05
    max_tokens: int = 64
    temperature: float = 1.0
    seed: int = 1
    # Samples per forward pass; None: all of a step's in one.
    batch: int | None = None
    # Samples of the base by which the rewards are normalised.
    norm_samples: int = 512

    @property
    def samples_per_step(self) -> int:
        """Completions that one step of the optimiser sees."""
        return self.prompts_per_step * self.samples_per_prompt
