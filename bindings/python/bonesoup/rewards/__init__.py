"""What text is rewarded for: typed callables from prompts and completions to scores."""

from __future__ import annotations

from bonesoup.rewards import reference as _reference
from bonesoup.rewards import text as _text
from bonesoup.rewards.classifier import Classifier
from bonesoup.rewards.endpoint import Endpoint
from bonesoup.rewards.normalisation import Norm, mix
from bonesoup.rewards.registry import LoadedReward, load, names, per_text, register, source
from bonesoup.rewards.reward import Reward, Row, RowReward

__all__ = [
    "Classifier",
    "Endpoint",
    "LoadedReward",
    "Norm",
    "Reward",
    "Row",
    "RowReward",
    "load",
    "mix",
    "names",
    "per_text",
    "register",
    "source",
]

# Imported for what they register.
del _reference, _text
