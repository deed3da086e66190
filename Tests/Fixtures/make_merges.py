"""Makes the fixtures of merge methods: a tiny base, three fine-tunes in three formats, and what each method makes of them.

    python Tests/Fixtures/make_merges.py        needs NumPy alone

`merges/cases.json` lists the cases; `merges/expected.safetensors` holds "CASE/TENSOR" in f32, by `merge_statements.py`.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np

import merge_statements as statements

FOLDER = pathlib.Path(__file__).parent / "merges"
SHAPES: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (12, 8),
    "model.layers.0.mlp.up_proj.weight": (20, 8),
    "model.layers.0.input_layernorm.weight": (8,),
    "model.layers.1.mlp.down_proj.weight": (8, 20),
    "model.layers.1.self_attn.q_proj.weight": (8, 8),
    "model.norm.weight": (8,),
}
MIXED, MEAN = (1.5, -0.75, 0.25), (0.5, 0.3, 0.4)
DENSITY = (0.5, 0.4, 0.75)


def case(
    method: str, name: str = "", models: int = 3, base: bool = True, seed: int = 0, **parameters: Any
) -> dict[str, Any]:
    return {
        "name": f"{method}{'-' if name else ''}{name}",
        "method": method,
        "models": models,
        "base": base,
        "seed": seed,
        "parameters": parameters,
    }


def cases() -> list[dict[str, Any]]:
    listed = [
        case("linear", base=False, weight=MEAN),
        case("linear", "sum", base=False, weight=MIXED, normalize=False),
        case("task_arithmetic", weight=MEAN, **{"lambda": 0.7}),
        case("task_arithmetic", "mean", weight=MEAN, normalize=True),
        case("slerp", models=1, t=0.3),
        case("nuslerp", models=2, weight=(0.6, 0.3)),
        case("nuslerp", "plain", models=2, base=False, weight=(0.6, 0.3)),
        case("nuslerp", "rows", models=2, weight=(0.6, 0.3), nuslerp_flatten=False),
        case("nuslerp", "columns", models=2, weight=(0.6, 0.3), nuslerp_flatten=False, nuslerp_row_wise=True),
        case("ties", weight=MEAN, density=DENSITY, normalize=True),
        case("dare_linear", weight=MEAN, density=DENSITY, rescale=True, seed=7),
        case("dare_ties", weight=MEAN, density=DENSITY, rescale=True, seed=2**40 + 3),
        case("della", weight=MEAN, density=DENSITY, epsilon=(0.1, 0.15, 0.2), normalize=True, rescale=True, seed=7),
        case("della_linear", weight=MEAN, density=DENSITY, epsilon=(0.1, 0.15, 0.2), rescale=True, seed=7),
        case("breadcrumbs", weight=MEAN, density=DENSITY, gamma=(0.1, 0.2, 0.3)),
        case("breadcrumbs_ties", weight=MEAN, density=DENSITY, gamma=(0.1, 0.2, 0.3)),
        case("sce", select_topk=0.4),
        case("sce", "all"),
        case("model_stock"),
        case("model_stock", "rows", filter_wise=True),
        case("passthrough", models=1, base=False, scale=(0.7,)),
        case("iso_c", weight=(1.0, 0.5, 0.8), normalize=True),
        case("tsv", weight=(1.0, 0.5, 0.8), normalize=True),
        case("knots", weight=(1.0, 0.5, 0.8), density=DENSITY, normalize=True),
    ]
    # As in a soup: the weights are coefficients, of which Bone Soup makes negative ones, and nothing is divided by.
    for method in ("task_arithmetic", "ties", "dare_linear", "dare_ties", "della", "della_linear", "breadcrumbs"):
        each: dict[str, Any] = {} if method == "task_arithmetic" else {"density": DENSITY}
        if method.startswith("d"):
            each["rescale"] = True
        if method.startswith("della"):
            each["epsilon"] = (0.1, 0.15, 0.2)
        if method == "breadcrumbs":
            each["gamma"] = (0.1, 0.1, 0.1)
        listed.append(case(method, "soup", weight=MIXED, normalize=False, seed=11, **each))
    listed.append(
        case("breadcrumbs_ties", "soup", weight=MIXED, density=DENSITY, gamma=(0.1, 0.1, 0.1), normalize=False)
    )
    for method in ("iso_c", "tsv", "knots"):
        density = {"density": DENSITY} if method == "knots" else {}
        listed.append(case(method, "soup", weight=MIXED, normalize=False, **density))
    return listed


def write(path: pathlib.Path, tensors: dict[str, tuple[str, np.ndarray[Any, Any]]]) -> None:
    """Write a safetensors file of (type, array of bits or numbers)."""
    header: dict[str, Any] = {}
    data = b""
    for name, (kind, values) in tensors.items():
        raw = values.tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def as_bf16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Cut to the upper 16 bits, which is a bf16 number as good as any."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def main() -> None:
    """Write all files."""
    random = np.random.default_rng(2026)
    base = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    models: list[dict[str, np.ndarray[Any, Any]]] = []
    for index, kind in enumerate(("BF16", "F16", "F32")):
        stored: dict[str, tuple[str, np.ndarray[Any, Any]]] = {}
        read: dict[str, np.ndarray[Any, Any]] = {}
        for name, values in base.items():
            tuned = (values + random.normal(0, 0.03, values.shape)).astype(np.float32)
            if kind == "BF16":
                bits = as_bf16(tuned)
                stored[name], read[name] = (kind, bits), (bits.astype(np.uint32) << 16).view(np.float32)
            elif kind == "F16":
                half = tuned.astype(np.float16)
                stored[name], read[name] = (kind, half), half.astype(np.float32)
            else:
                # Equal magnitudes, so that which one is kept has to be decided by its place.
                tuned.reshape(-1)[::3] = values.reshape(-1)[::3] + np.float32(0.03125)
                stored[name], read[name] = (kind, tuned), tuned
        write(FOLDER / f"tune{index}" / "model.safetensors", stored)
        models.append(read)
    write(FOLDER / "base" / "model.safetensors", {name: ("F32", values) for name, values in base.items()})
    config = {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True, "torch_dtype": "float32"}
    for folder in ("base", "tune0", "tune1", "tune2"):
        (FOLDER / folder / "config.json").write_text(json.dumps(config) + "\n")
    expected: dict[str, tuple[str, np.ndarray[Any, Any]]] = {}
    for item in cases():
        merge = statements.METHODS[item["method"]]
        for name in SHAPES:
            inputs = [model[name] for model in models[: item["models"]]]
            start = base[name] if item["base"] else None
            result = merge(name, start, inputs, seed=item["seed"], **item["parameters"])
            expected[f"{item['name']}/{name}"] = ("F32", np.ascontiguousarray(result.astype(np.float32)))
    write(FOLDER / "expected.safetensors", expected)
    (FOLDER / "cases.json").write_text(json.dumps(cases(), indent=1) + "\n")


if __name__ == "__main__":
    main()
