"""Sampling from the base, before anything is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from bonesoup.rewards import RowReward
from bonesoup.train.extras import need
from bonesoup.train.processes import device
from bonesoup.train.project import Project
from bonesoup.train.prompts import Prompts


@dataclasses.dataclass(frozen=True)
class Samples:
    """Completions of some prompts."""

    prompts: Prompts
    completions: tuple[str, ...]

    def scores(self, rewards: Sequence[RowReward]) -> list[list[float]]:
        """Return each reward's raw scores: [reward][sample]."""
        return [list(reward(self.prompts.texts, self.completions, self.prompts.rows)) for reward in rewards]


def load_base(project: Project, model_place: str | None = None) -> tuple[Any, Any]:
    """Return the base, in f32 on a CPU and bf16 on a GPU, and its tokenizer, which pads on the left.

    `model_place` is a checkpoint to take in place of the base's.
    """
    torch = need("torch")
    transformers = need("transformers")
    transformers.utils.logging.disable_progress_bar()
    gpu = torch.cuda.is_available()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        model_place or project.base, dtype=torch.bfloat16 if gpu else torch.float32
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(project.base, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def sample(
    model: Any, tokenizer: Any, prompts: Prompts, *, max_tokens: int, temperature: float, seed: int, batch: int = 128
) -> Samples:
    """Write one completion per prompt by plain sampling: no top-k, no top-p, as in training."""
    torch = need("torch")
    torch.manual_seed(seed)
    place = device()
    model = model.eval().to(place)
    completions: list[str] = []
    for start in range(0, len(prompts), batch):
        inputs = tokenizer(
            list(prompts.texts[start : start + batch]), return_tensors="pt", padding=True, return_token_type_ids=False
        ).to(place)
        with torch.inference_mode():
            written = model.generate(
                **inputs,
                do_sample=True,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=max_tokens,
                pad_token_id=tokenizer.pad_token_id,
            )
        answers = written[:, inputs["input_ids"].shape[1] :]
        completions += tokenizer.batch_decode(answers, skip_special_tokens=True)
    return Samples(prompts, tuple(completions))


def sample_base(project: Project, *seeds: int) -> list[Samples]:
    """Write samples of the base for the same prompts with each seed; they do not depend on the training's seed."""
    model, tokenizer = load_base(project)
    wish = project.training
    prompts = project.read_prompts("train").first(wish.norm_samples)
    return [
        sample(model, tokenizer, prompts, max_tokens=wish.max_tokens, temperature=wish.temperature, seed=seed)
        for seed in seeds
    ]
