"""
Makes the demo soup.

    python make.py --text STORIES... --out FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import backbones
import base
import torch
from language_model import encode, nats_per_byte
from objectives import OBJECTIVES, VALENCES, best, bone_matrix, happy, norms, read_lexicon
from stories import divide, read
from teacher import loss as teacher_loss
from teacher import sample

BETA = 0.7
EXTRAPOLATION = [1.3, 1.3, 1.0]  # k per objective: makes the steps of two sliders larger than the noise of 64 stories
SHARE = 0.12  # of the stories, that a backbone is tuned on
HELD_OUT = 200
WORDS: dict[str, dict[str, Any]] = {
    "brief": {"label": "Brief", "description": "fewer words", "default": 0.34, "step": 0.05},
    "happy": {"label": "Happy", "description": "more happy words, fewer sad ones", "default": 0.33, "step": 0.05},
    "talkative": {"label": "Talkative", "description": "more of it is spoken", "default": 0.33, "step": 0.05},
}
PRESETS = {
    "Bedtime": {"brief": 0.4, "happy": 0.6, "talkative": 0.0},
    "Puppet show": {"brief": 0.0, "happy": 0.25, "talkative": 0.75},
    "One more, but short": {"brief": 0.9, "happy": 0.1, "talkative": 0.0},
}


def write_manifest(file: Path, paths: Sequence[str], norm: Sequence[tuple[float, float]], metadata: Any) -> None:
    """Write a soup.json."""
    manifest = {
        "bonesoup": 1,
        "base": "base",
        "objectives": [
            {"name": name, **WORDS[name], "norm": {"mean": round(mean, 4), "std": round(deviation, 4)}}
            for name, (mean, deviation) in zip(OBJECTIVES, norm, strict=True)
        ],
        "backbones": [{"path": path} for path in paths],
        "matrix": {"rule": "bone", "beta": BETA},
        "extrapolation": EXTRAPOLATION,
        "guard": {"max_abs_coefficient": 2.5, "on_violation": "reject"},
        "presets": [{"name": name, "preference": preference} for name, preference in PRESETS.items()],
        "metadata": metadata,
    }
    file.write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the demo soup.")
    parser.add_argument("--text", nargs="+", type=Path, required=True, help="stories, <|endoftext|> between them")
    parser.add_argument("--out", type=Path, required=True, help="the soup's folder")
    parser.add_argument("--base", type=Path, help="take the base from this folder instead of training one")
    parser.add_argument("--teacher", type=Path, help="TinyStories-656K: its loss is stated beside the base's")
    parser.add_argument("--samples", type=int, default=0, help="train on so many stories of the teacher's, too")
    parser.add_argument("--lexicon", type=Path, help="words' valences, as VADER's; by default a small own list")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="another number may give other bits")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    training, held_out = divide(read(options.text), HELD_OUT, options.seed)
    print(f"{len(training)} stories to train on, {sum(map(len, training))} bytes; {len(held_out)} held out")
    if options.samples:
        training += sample(options.teacher, options.samples, options.seed)
    folder: Path = options.out / "base"
    folder.mkdir(parents=True, exist_ok=True)
    seconds = {}
    if options.base is None:
        seconds["base"] = base.make(training, folder, options.seed)
    else:
        for file in sorted(options.base.iterdir()):
            (folder / file.name).write_bytes(file.read_bytes())
    model, tokenizer = base.load(folder)
    loss = {"base": nats_per_byte(model, held_out, lambda story: encode(tokenizer, [story])[0][:-1])}
    if options.teacher is not None:
        loss[options.teacher.name] = teacher_loss(options.teacher, held_out)
    print("nats per byte of held-out stories:", loss)

    valences = VALENCES if options.lexicon is None else read_lexicon(options.lexicon)
    rewards = [
        [happy(story, valences) if name == "happy" else reward(story) for story in training]
        for name, reward in OBJECTIVES.items()
    ]
    norm = norms(rewards)
    tokens = encode(tokenizer, training)
    for name, mix in zip(OBJECTIVES, bone_matrix(len(OBJECTIVES), BETA), strict=True):
        chosen = [tokens[index] for index in best(rewards, mix, norm, round(SHARE * len(tokens)))]
        seconds[name] = backbones.make_lora(name, folder, chosen, options.out / "backbones" / name, options.seed)
        if name == "happy":
            full = f"{name}-full"
            seconds[full] = backbones.make_full(full, folder, chosen, options.out / "backbones" / full, options.seed)

    metadata = {
        "text": "TinyStories (Eldan and Li 2023), CDLA-Sharing-1.0",
        "recipe": "bindings/python/recipes/tinystories",
        "seed": options.seed,
        "training_seconds": {name: round(time) for name, time in seconds.items()},
        "nats_per_byte": {name: round(value, 4) for name, value in loss.items()},
    }
    adapters = [f"backbones/{name}" for name in OBJECTIVES]
    write_manifest(options.out / "soup.json", adapters, norm, metadata)
    mixed = [f"{path}-full" if path.endswith("happy") else path for path in adapters]
    write_manifest(options.out / "soup-folded.json", mixed, norm, metadata)
    print("training took", metadata["training_seconds"], "seconds")


if __name__ == "__main__":
    main()
