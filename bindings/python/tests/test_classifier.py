"""A transformers classifier as a reward; collected where the extra `train` is installed."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import torch
import transformers

import bonesoup
from bonesoup import rewards
from support import FIXTURES


def _classifier(folder: pathlib.Path, labels: int) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(FIXTURES / "demo-soup" / "base")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=tokenizer.eos_token_id,
    )
    config.num_labels = labels
    make: Any = transformers.LlamaForSequenceClassification
    model = make(config)
    if labels == 2:
        model.config.id2label, model.config.label2id = {0: "bad", 1: "good"}, {"bad": 0, "good": 1}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _score(**parameters: Any) -> list[float]:
    return list(rewards.load({"reward": "classifier", "parameters": parameters})(["p"] * 3, ["One", "Two dogs", ""]))


def test_output_is_the_reward_and_batches_change_nothing(tmp_path: pathlib.Path) -> None:
    model = _classifier(tmp_path, 1)
    together, apart = _score(model=model), _score(model=model, batch=1)
    assert together == pytest.approx(apart, abs=1e-5)
    assert len(set(together)) == 3
    assert _score(model=model, sign=-1.0) == pytest.approx([-value for value in together])


def test_label_is_chosen_by_name_or_number(tmp_path: pathlib.Path) -> None:
    model = _classifier(tmp_path, 2)
    good = _score(model=model, label="good")
    assert good == pytest.approx(_score(model=model, label=1))
    assert all(value < 0 for value in good)
    with pytest.raises(bonesoup.BoneSoupError, match="it has bad, good"):
        _score(model=model, label="best")
