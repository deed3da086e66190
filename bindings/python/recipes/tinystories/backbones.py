"""The backbones: short supervised runs from the base on the stories that a mix of the objectives ranks highest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import base
import torch
from language_model import train, whole
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

RANK = 8
LORA_STEPS = 150
LORA_RATE = 3e-3
FULL_STEPS = 150
FULL_RATE = 4e-4
ROWS = 16


def make_lora(name: str, base_folder: Path, stories: Sequence[list[int]], folder: Path, seed: int) -> float:
    """Train a LoRA adapter on all linear layers, write it in bf16, and return the seconds that it took."""
    torch.manual_seed(seed)
    model, _ = base.load(base_folder)
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(model, config)
    assert isinstance(tuned, PeftModel)
    seconds = train(name, tuned, whole(stories, ROWS, seed), steps=LORA_STEPS, rate=LORA_RATE)
    tuned.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    weights = folder / "adapter_model.safetensors"
    tensors = {key: value.to(torch.bfloat16) for key, value in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "../../base"
    settings["target_modules"] = sorted(settings["target_modules"])
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return seconds


def make_full(name: str, base_folder: Path, stories: Sequence[list[int]], folder: Path, seed: int) -> float:
    """Train all weights, write them as a checkpoint in bf16, and return the seconds that it took."""
    torch.manual_seed(seed)
    model: Any = base.load(base_folder)[0]
    seconds = train(name, model, whole(stories, ROWS, seed), steps=FULL_STEPS, rate=FULL_RATE)
    model.to(torch.bfloat16).save_pretrained(folder)
    return seconds
