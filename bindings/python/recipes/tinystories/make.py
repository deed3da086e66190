"""
Makes the demo soup.

    python make.py --text STORIES... --out FOLDER            base and backbones
    python make.py --base FOLDER --out FOLDER                backbones only
    python make.py --base FOLDER --soup SOUP --out FOLDER    neither: packs a soup that experiment.py has trained
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import base
import package
import torch
from language_model import encode, nats_per_byte
from stories import divide, read
from teacher import loss as teacher_loss
from teacher import sample

from bonesoup.train.project import Project
from bonesoup.train.soup import train
from bonesoup.train.templates import create

BETA = 0.7  # chosen by experiment.py's runs
HELD_OUT = 200


def make_base(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train the base, and return what there is to say about it."""
    training, held_out = divide(read(options.text), HELD_OUT, options.seed)
    print(f"{len(training)} stories to train on, {sum(map(len, training))} bytes; {len(held_out)} held out")
    if options.samples:
        training += sample(options.teacher, options.samples, options.seed)
    seconds = base.make(training, folder, options.seed)
    model, tokenizer = base.load(folder)
    loss = {"base": nats_per_byte(model, held_out, lambda story: encode(tokenizer, [story])[0][:-1])}
    if options.teacher is not None:
        loss[options.teacher.name] = teacher_loss(options.teacher, held_out)
    return {
        "base_seconds": round(seconds),
        "nats_per_byte": {name: round(value, 4) for name, value in loss.items()},
    }


def make_backbones(base_folder: Path, work: Path, seed: int) -> Path:
    """Train the backbones on the story template's rewards, and return the soup's folder."""
    if not (work / "soup.yml").exists():
        create("story", work, str(base_folder.resolve()))
    project = Project.load(work).changed(seed=seed, matrix={"rule": "bone", "beta": BETA})
    return train(project).parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the demo soup.")
    parser.add_argument("--text", nargs="+", type=Path, help="stories, <|endoftext|> between them")
    parser.add_argument("--out", type=Path, required=True, help="the soup's folder")
    parser.add_argument("--base", type=Path, help="take the base from this folder instead of training one")
    parser.add_argument("--soup", type=Path, help="take the backbones from this soup instead of training them")
    parser.add_argument("--teacher", type=Path, help="TinyStories-656K: its loss is stated beside the base's")
    parser.add_argument(
        "--samples", type=int, default=0, help="train the base on so many stories of the teacher's, too"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="another number may give other bits")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.base is None and not options.text:
        parser.error("give --text to train a base on, or --base")

    folder: Path = options.out / "base"
    folder.mkdir(parents=True, exist_ok=True)
    metadata: dict[str, Any] = {
        "text": "TinyStories (Eldan and Li 2023), CDLA-Sharing-1.0",
        "recipe": "bindings/python/recipes/tinystories",
        "seed": options.seed,
    }
    if options.base is None:
        metadata |= make_base(options, folder)
    elif not folder.samefile(options.base):
        for file in sorted(options.base.iterdir()):
            (folder / file.name).write_bytes(file.read_bytes())
    trained = options.soup or make_backbones(folder, options.out.parent / f"{options.out.name}-project", options.seed)

    names = [Path(entry["path"]).name for entry in json.loads((trained / "soup.json").read_text())["backbones"]]
    for name in names:
        package.write_adapter(trained / "backbones" / name, options.out / "backbones" / name)
    full = options.out / "backbones" / "happy-full"
    package.write_full(folder, trained / "backbones" / "happy", full)
    runs = [json.loads((trained / "runs" / name / "run.json").read_text()) for name in names]
    metadata["training"] = {
        run["name"]: {key: run[key] for key in ("steps", "samples", "kl_weight")}
        | {"cpu_seconds": round(run["cpu_seconds"])}
        for run in runs
    }
    adapters = [f"backbones/{name}" for name in names]
    package.write_manifest(options.out / "soup.json", adapters, trained, metadata)
    mixed = [f"{path}-full" if path.endswith("happy") else path for path in adapters]
    package.write_manifest(options.out / "soup-folded.json", mixed, trained, metadata)


if __name__ == "__main__":
    main()
