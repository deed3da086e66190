"""More text: stories that a small published model writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from language_model import nats_per_byte
from stories import clean, is_story
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def _load(folder: Path) -> tuple[Any, Tokenizer]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def sample(folder: Path, count: int, seed: int, batch: int = 128, longest: int = 384) -> list[str]:
    """At least `count` whole stories sampled (temperature 0.8, top-p 0.95) from the model in `folder`."""
    torch.manual_seed(seed)
    model, tokenizer = _load(folder)
    first, last = model.config.bos_token_id, model.config.eos_token_id
    # The vocabulary spells the end of a story a second time as an ordinary token, and that one is what it writes.
    end = tokenizer.decode([last])
    ends = [token for token in range(model.config.vocab_size) if tokenizer.decode([token]) == end]
    stories: dict[str, None] = {}
    started = time.monotonic()
    while len(stories) < count:
        with torch.inference_mode():
            ids = model.generate(
                torch.full((batch, 1), first),
                attention_mask=torch.ones((batch, 1), dtype=torch.long),
                do_sample=True,
                temperature=0.8,
                top_k=0,
                top_p=0.95,
                max_new_tokens=longest,
                pad_token_id=last,
                eos_token_id=ends,
            )
        for row in ids.tolist():
            text, whole, _ = tokenizer.decode(row[1:]).partition(end)
            story = clean(text)
            if whole and is_story(story):
                stories[story] = None
        print(f"teacher: {len(stories)} stories, {time.monotonic() - started:.0f} s", flush=True)
    return list(stories)


def loss(folder: Path, stories: Sequence[str]) -> float:
    """Its nats per byte of stories."""
    model, tokenizer = _load(folder)
    first = model.config.bos_token_id
    return nats_per_byte(model, stories, lambda story: [first, *tokenizer.encode(story, add_special_tokens=False).ids])
