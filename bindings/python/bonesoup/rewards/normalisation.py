"""Rewards on one scale: by mean and deviation over the base's own samples, fixed before any training."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from bonesoup.errors import Status, error


@dataclasses.dataclass(frozen=True)
class Norm:
    """The mean and deviation of a raw reward, and the bound of the normalised one (None: no bound).

    Fixed numbers, so that the mix of normalised rewards stays linear in them; a deviation that follows the batch, as
    GRPO's default, would weigh the objectives anew in every step.
    """

    mean: float
    std: float
    clip: float | None = None

    def __call__(self, scores: Sequence[float]) -> list[float]:
        """Return (score − mean)/std, held within ±clip."""
        scaled = [(score - self.mean) / self.std for score in scores]
        if self.clip is None:
            return scaled
        return [max(-self.clip, min(self.clip, score)) for score in scaled]

    @staticmethod
    def of(name: str, scores: Sequence[float], clip: float | None = None) -> Norm:
        """Measure it; a reward that is the same for all samples can't be trained on and is refused."""
        mean, std = statistics.fmean(scores), statistics.pstdev(scores)
        if not std > 0:
            raise error(
                Status.INVALID_ARGUMENT,
                f"reward {name} is {mean:g} for all of the base's {len(scores)} samples; there is nothing to learn, so "
                "reward what the base does at least now and then",
            )
        return Norm(mean, std, clip)

    def as_json(self) -> dict[str, float | None]:
        """Return it as `rewards.json` has it."""
        return {"mean": self.mean, "std": self.std, "clip": self.clip}


def mix(weights: Sequence[float], normalised: Sequence[Sequence[float]]) -> list[float]:
    """Return Σ_j weights_j·normalised_j per sample; `normalised` is one sequence per objective."""
    return [sum(weight * score for weight, score in zip(weights, sample)) for sample in zip(*normalised)]
