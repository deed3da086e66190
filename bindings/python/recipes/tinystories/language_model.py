"""The tokenizer, the base model, and the training that base and backbones share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

BOS, EOS = "<s>", "</s>"
BOS_ID, EOS_ID = 0, 1
VOCABULARY = 1280
CONTEXT = 384
IGNORED = -100  # a target that cross_entropy leaves out


def train_tokenizer(stories: Sequence[str]) -> Tokenizer:
    """A byte-level BPE tokenizer that puts BOS before a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)]),
        ]
    )
    return tokenizer


def encode(tokenizer: Tokenizer, stories: Sequence[str]) -> list[list[int]]:
    """Each story as BOS, its tokens, EOS."""
    return [[*encoding.ids, EOS_ID] for encoding in tokenizer.encode_batch(list(stories))]


def new_model(seed: int) -> LlamaForCausalLM:
    """A Llama of 717,000 parameters with random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def packed(stories: Sequence[Sequence[int]], rows: int, seed: int) -> Callable[[], torch.Tensor]:
    """Batches [rows, CONTEXT + 1] cut from all stories in a row, reshuffled whenever they are used up."""
    generator = torch.Generator().manual_seed(seed)
    waiting: list[int] = []

    def batch() -> torch.Tensor:
        nonlocal waiting
        size = rows * (CONTEXT + 1)
        while len(waiting) < size:
            for index in torch.randperm(len(stories), generator=generator).tolist():
                waiting.extend(stories[index])
        taken, waiting = waiting[:size], waiting[size:]
        return torch.tensor(taken).view(rows, -1)

    return batch


def whole(stories: Sequence[Sequence[int]], rows: int, seed: int) -> Callable[[], torch.Tensor]:
    """Batches of `rows` stories from their beginning, as long as the longest of them and at most CONTEXT + 1; IGNORED
    fills the shorter ones up."""
    generator = torch.Generator().manual_seed(seed)
    waiting: list[int] = []

    def batch() -> torch.Tensor:
        nonlocal waiting
        if len(waiting) < rows:
            waiting = torch.randperm(len(stories), generator=generator).tolist()
        taken, waiting = [stories[index][: CONTEXT + 1] for index in waiting[:rows]], waiting[rows:]
        longest = max(map(len, taken))
        return torch.tensor([[*story, *[IGNORED] * (longest - len(story))] for story in taken])

    return batch


def loss(model: Any, tokens: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Cross entropy in nats of each token after the first, given those before it."""
    logits = model(input_ids=tokens[:, :-1].clamp(min=0), use_cache=False).logits
    return functional.cross_entropy(
        logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=IGNORED, reduction=reduction
    )


def train(
    name: str, model: Any, batch: Callable[[], torch.Tensor], *, steps: int, rate: float, warm_up: int = 20
) -> float:
    """
    Train the parameters of `model` that want a gradient, and return the seconds that it took.

    Matrices other than the embedding and adapters go by Muon (Jordan et al. 2024), scaled to AdamW's step size; the
    rest by AdamW. The learning rate rises over `warm_up` steps and falls to a twentieth along half a cosine.
    """
    started = time.monotonic()
    parameters = [(key, value) for key, value in model.named_parameters() if value.requires_grad]
    matrices = [value for key, value in parameters if value.ndim == 2 and "embed" not in key and "lora" not in key]
    chosen = {id(value) for value in matrices}
    others = [value for _, value in parameters if id(value) not in chosen]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"))
    model.train()
    for step in range(steps):
        progress = step / steps
        scale = min(1.0, (step + 1) / warm_up) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        value: Any = loss(model, batch())
        value.backward()
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in parameters], 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == steps - 1:
            elapsed = time.monotonic() - started
            print(f"{name}: step {step + 1} of {steps}, loss {value.item():.3f}, {elapsed:.0f} s", flush=True)
    model.eval()
    return time.monotonic() - started


def nats_per_byte(model: Any, stories: Sequence[str], encode_one: Callable[[str], list[int]]) -> float:
    """
    The mean negative log likelihood per byte of stories, without that of their end.

    Only the first 800 bytes of each count: they fit into the 512 positions of both models, so both are measured on
    the same text. `encode_one` gives BOS and the tokens.
    """
    total, size = 0.0, 0
    with torch.inference_mode():
        for story in stories:
            start = story[:800]
            total += loss(model, torch.tensor([encode_one(start)]), "sum").item()
            size += len(start.encode())
    return total / size
