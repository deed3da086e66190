"""The base of the demo soup: a small story model and its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from language_model import BOS, EOS, encode, new_model, packed, train, train_tokenizer
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

STEPS = 1200
ROWS = 8
RATE = 4e-3


def make(stories: Sequence[str], folder: Path, seed: int) -> float:
    """Train a base on `stories`, write it to `folder` in bf16, and return the seconds that it took."""
    tokenizer = train_tokenizer(stories)
    model: Any = new_model(seed)
    seconds = train("base", model, packed(encode(tokenizer, stories), ROWS, seed), steps=STEPS, rate=RATE)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "model_max_length": model.config.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return seconds


def load(folder: Path) -> tuple[LlamaForCausalLM, Tokenizer]:
    """The base in f32, and its tokenizer."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))
