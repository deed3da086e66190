"""What the tests share: fixtures, safetensors, small random models and adapters, and how logits are compared."""

from __future__ import annotations

import json
import os
import pathlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray

import bonesoup

Floats = NDArray[numpy.float32]
Doubles = NDArray[numpy.float64]

ROOT = pathlib.Path(__file__).resolve().parents[3]
FIXTURES = pathlib.Path(os.environ.get("BONESOUP_FIXTURES", ROOT / "Tests" / "Fixtures"))
MODELS = FIXTURES / "models"
SOUPS = FIXTURES / "soups"
SHARED = pathlib.Path(os.environ.get("BONESOUP_SHARED", "/nonexistent"))
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="needs the shared folder (BONESOUP_SHARED)")

PREFIX = "model.layers"
LINEARS = {
    "self_attn.q_proj": ("heads", "hidden"),
    "self_attn.k_proj": ("kv", "hidden"),
    "self_attn.v_proj": ("kv", "hidden"),
    "self_attn.o_proj": ("hidden", "heads"),
    "mlp.gate_proj": ("inner", "hidden"),
    "mlp.up_proj": ("inner", "hidden"),
    "mlp.down_proj": ("hidden", "inner"),
}


def read_tensors(path: pathlib.Path) -> dict[str, Floats]:
    """Return the F32 tensors of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32"
            start, end = entry["data_offsets"]
            tensors[name] = numpy.frombuffer(data[8 + size + start : 8 + size + end], "<f4").reshape(entry["shape"])
    return tensors


def write_tensors(path: pathlib.Path, tensors: Mapping[str, Floats]) -> None:
    """Write F32 tensors as a safetensors file."""
    header: dict[str, Any] = {}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(numpy.ascontiguousarray(tensor, "<f4").tobytes())


class Shape:
    """The shape of a small Llama."""

    def __init__(
        self, hidden: int = 32, layers: int = 2, inner: int = 48, heads: int = 4, vocab: int = 96, context: int = 256
    ) -> None:
        self.hidden, self.layers, self.inner, self.heads = hidden, layers, inner, heads
        self.kv_heads, self.vocab, self.context = heads // 2, vocab, context

    def size(self, name: str) -> int:
        head = self.hidden // self.heads
        return {
            "hidden": self.hidden,
            "inner": self.inner,
            "heads": self.heads * head,
            "kv": self.kv_heads * head,
        }[name]

    def weight(self, layer: int, linear: str) -> tuple[str, tuple[int, int]]:
        """Return the name and the shape of a linear layer's weight."""
        out, into = LINEARS[linear]
        return f"{PREFIX}.{layer}.{linear}.weight", (self.size(out), self.size(into))

    def config(self) -> dict[str, Any]:
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "vocab_size": self.vocab,
            "max_position_embeddings": self.context,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
        }

    def random_tensors(self, seed: int, scale: float = 0.25) -> dict[str, Floats]:
        generator = numpy.random.default_rng(seed)

        def normal(*shape: int) -> Floats:
            return (scale * generator.standard_normal(shape)).astype(numpy.float32)

        tensors = {"model.embed_tokens.weight": normal(self.vocab, self.hidden)}
        for layer in range(self.layers):
            for linear in LINEARS:
                name, shape = self.weight(layer, linear)
                tensors[name] = normal(*shape)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                tensors[f"{PREFIX}.{layer}.{norm}.weight"] = 1 + normal(self.hidden)
        tensors["model.norm.weight"] = 1 + normal(self.hidden)
        return tensors


def write_model(folder: pathlib.Path, shape: Shape, tensors: Mapping[str, Floats]) -> pathlib.Path:
    """Write a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(shape.config()))
    write_tensors(folder / "model.safetensors", tensors)
    return folder


def random_model(folder: pathlib.Path, shape: Shape, seed: int = 0) -> pathlib.Path:
    return write_model(folder, shape, shape.random_tensors(seed))


class Adapter:
    """A random LoRA adapter of some modules of a model."""

    def __init__(
        self,
        shape: Shape,
        seed: int,
        rank: int = 4,
        alpha: float = 8.0,
        modules: Iterable[tuple[int, str]] | None = None,
    ) -> None:
        self.rank, self.alpha = rank, alpha
        generator = numpy.random.default_rng(seed)
        every = [(layer, linear) for layer in range(shape.layers) for linear in LINEARS]
        self.modules = every if modules is None else list(modules)
        self.factors: dict[str, tuple[Floats, Floats]] = {}
        for layer, linear in self.modules:
            name, (out, into) = shape.weight(layer, linear)
            down = 0.3 * generator.standard_normal((rank, into))
            up = 0.3 * generator.standard_normal((out, rank))
            self.factors[name] = down.astype(numpy.float32), up.astype(numpy.float32)

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "peft_type": "LORA",
            "r": self.rank,
            "lora_alpha": self.alpha,
            "target_modules": sorted({linear.split(".")[-1] for _, linear in self.modules}),
            "layers_to_transform": sorted({layer for layer, _ in self.modules}),
            "bias": "none",
            "task_type": "CAUSAL_LM",
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))
        tensors = {}
        for name, (down, up) in self.factors.items():
            module = "base_model.model." + name[: -len(".weight")]
            tensors[module + ".lora_A.weight"], tensors[module + ".lora_B.weight"] = down, up
        write_tensors(folder / "adapter_model.safetensors", tensors)
        return folder

    def merged(self, tensors: Mapping[str, Floats], coefficient: float) -> dict[str, Floats]:
        """Return the weights with the adapter added by hand, in float64: W + λ·(α/r)·U·D."""
        result = dict(tensors)
        for name, (down, up) in self.factors.items():
            change = coefficient * self.alpha / self.rank * (up.astype(numpy.float64) @ down.astype(numpy.float64))
            result[name] = (result[name].astype(numpy.float64) + change).astype(numpy.float32)
        return result


def relative(actual: Any, expected: Any) -> float:
    """Return ‖actual − expected‖ / ‖expected‖."""
    a, b = numpy.asarray(actual, numpy.float64), numpy.asarray(expected, numpy.float64)
    assert a.shape == b.shape
    return float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b))


def worst(actual: Floats, expected: Floats) -> float:
    """Return the largest `relative` of any position."""
    return max(relative(a, b) for a, b in zip(actual, expected, strict=True))


def last_logits(session: bonesoup.Session) -> Floats:
    return numpy.asarray(session.logits(), numpy.float32)


def logits_of(blend: bonesoup.Blend, tokens: Sequence[int]) -> Floats:
    """Return the logits of all positions, computed in one decode."""
    with blend.session() as session:
        session.append(tokens)
        session.decode(all_logits=True)
        return numpy.stack([numpy.asarray(session.logits(position)) for position in range(len(tokens))])


def logits_one_by_one(blend: bonesoup.Blend, tokens: Sequence[int]) -> Floats:
    """Return the logits of all positions, each computed in a decode of its own."""
    rows = []
    with blend.session() as session:
        for token in tokens:
            session.append([token])
            session.decode()
            rows.append(last_logits(session))
    return numpy.stack(rows)


def greedy(blend: bonesoup.Blend, prompt: Sequence[int], count: int) -> list[int]:
    return list(blend.generate(prompt, max_tokens=count, ignore_end=True).tokens)


def integers(values: Any) -> list[int]:
    return [int(value) for value in numpy.asarray(values).ravel()]


def same_bits(a: Floats, b: Floats) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()
