"""A trained soup as it is shipped: small files, presets, guard rails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import base
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

PRESETS = {
    "Bedtime": {"brief": 0.3, "happy": 0.7, "vivid": 0.0},
    "Picture book": {"brief": 0.0, "happy": 0.25, "vivid": 0.75},
    "First reader": {"brief": 0.9, "happy": 0.1, "vivid": 0.0},
}
DEFAULTS = {"brief": 0.34, "happy": 0.33, "vivid": 0.33}


def write_adapter(trained: Path, folder: Path) -> None:
    """Write an adapter in bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.to(torch.bfloat16) for key, value in load_file(trained / "adapter_model.safetensors").items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = json.loads((trained / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "../../base"
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_full(base_folder: Path, adapter: Path, folder: Path) -> None:
    """Write the base with an adapter added as a full checkpoint in bf16."""
    model, _ = base.load(base_folder)
    merged: Any = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.to(torch.bfloat16).save_pretrained(folder)


def write_manifest(file: Path, paths: Sequence[str], trained: Path, metadata: Any) -> None:
    """Write a soup.json: the trained soup's, with what a slider page shows."""
    soup = json.loads((trained / "soup.json").read_text())
    for objective in soup["objectives"]:
        objective["default"], objective["step"] = DEFAULTS[objective["name"]], 0.05
        objective["norm"] = {key: round(value, 4) for key, value in objective["norm"].items()}
    manifest = {
        "bonesoup": 1,
        "base": "base",
        "objectives": soup["objectives"],
        "backbones": [{"path": path} for path in paths],
        "matrix": soup["matrix"],
        "guard": {"max_abs_coefficient": 2.5, "on_violation": "reject"},
        "presets": [{"name": name, "preference": preference} for name, preference in PRESETS.items()],
        "metadata": metadata,
    }
    file.write_text(json.dumps(manifest, indent=2) + "\n")
