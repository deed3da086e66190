"""Blends as files: folders and adapters, against NumPy and against the blends themselves."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

import bonesoup
from support import (
    FIXTURES,
    MODELS,
    SOUPS,
    Adapter,
    Floats,
    Shape,
    logits_of,
    random_model,
    read_tensors,
    same_bits,
    worst,
    write_model,
    write_tensors,
)

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
TOKENS = [1, 5, 9, 33, 17, 2, 60, 41, 7]
KINDS: tuple[bonesoup.options.BlendKind, ...] = ("folded", "live")
CARRIED = ("generation_config.json", "tokenizer.json", "tokenizer_config.json")


def points() -> list[tuple[str, list[float]]]:
    """Every blend of every fixture soup, negative coefficients among them."""
    found = []
    for path in sorted(SOUPS.iterdir()):
        coefficients = read_tensors(path / "expected.safetensors")["coefficients"]
        found += [(path.name, [float(value) for value in row]) for row in coefficients]
    assert any(value < 0 for _, row in found for value in row)
    return found


@pytest.mark.parametrize(("name", "coefficients"), points())
def test_an_exported_folder_has_the_bits_of_the_folded_blend(
    name: str, coefficients: list[float], tmp_path: Path
) -> None:
    with bonesoup.Soup.open(SOUPS / name) as soup:
        with soup.blend(coefficients=coefficients, kind="folded") as blend:
            assert blend.export(tmp_path / "out") is None
            wanted = logits_of(blend, TOKENS)
        size = soup.export_size(point={"coefficients": coefficients})
    assert sum(tensor.nbytes for tensor in read_tensors(tmp_path / "out" / "model.safetensors").values()) == size
    with bonesoup.Soup.open(tmp_path / "out") as soup, soup.blend() as blend:
        assert same_bits(logits_of(blend, TOKENS), wanted)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("index", [0, 1])
def test_one_backbone_alone_gives_its_tensors_bits(index: int, tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        soup.export(tmp_path / "out", point={"coefficients": [float(index == other) for other in (0, 1)]})
    mine = read_tensors(tmp_path / "out" / "model.safetensors")
    own = read_tensors(SOUPS / "llama3-full" / "backbones" / str(index) / "model.safetensors")
    assert set(mine) == set(own)
    for name, tensor in own.items():
        assert same_bits(mine[name], tensor), name


def test_all_but_the_weights_is_the_bases(tmp_path: Path) -> None:
    base = MODELS / "llama3"
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        soup.export(tmp_path / "same")
        soup.export(tmp_path / "half", format="bf16")
    for name in CARRIED:
        if (base / name).exists():
            assert (tmp_path / "same" / name).read_bytes() == (base / name).read_bytes()
    assert (tmp_path / "same" / "config.json").read_bytes() == (base / "config.json").read_bytes()
    config = json.loads((base / "config.json").read_text())
    key = "dtype" if "dtype" in config else "torch_dtype"
    assert json.loads((tmp_path / "half" / "config.json").read_text()) == {**config, key: "bfloat16"}


def test_the_card_says_the_recipe(tmp_path: Path) -> None:
    import hashlib

    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        soup.export(tmp_path / "out", point={"preference": {"brief": 1.0}}, base_name="maker/model")
        soup.export(tmp_path / "quick", hashes=False)
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert 'base_model: "maker/model"' in card
    assert "| brief | 1.0 |" in card
    assert "| backbone 0 | -0.75 | backbones/0 |" in card and "| backbone 1 | 1.75 | backbones/1 |" in card
    for index in range(2):
        data = (SOUPS / "llama3-full" / "backbones" / str(index) / "model.safetensors").read_bytes()
        assert hashlib.sha256(data).hexdigest() in card
    assert str(FIXTURES) not in card
    assert "not taken" in (tmp_path / "quick" / "README.md").read_text()


def rounded(values: Floats, format: str) -> bytes:
    if format == "f16":
        return values.astype(numpy.float16).tobytes()
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16).tobytes()


@pytest.mark.parametrize("format", ["f16", "bf16"])
def test_formats_round_once(format: Any, tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        soup.export(tmp_path / "f32", format="f32")
        soup.export(tmp_path / "half", format=format)
    exact = read_tensors(tmp_path / "f32" / "model.safetensors")
    data = (tmp_path / "half" / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, tensor in exact.items():
        start, end = header[name]["data_offsets"]
        assert header[name]["dtype"] == format.upper()
        assert data[8 + length + start : 8 + length + end] == rounded(tensor, format), name


def test_shards_are_listed_and_open(tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup, soup.blend() as blend:
        blend.export(tmp_path / "out", shard_size=20_000)
        wanted = logits_of(blend, TOKENS)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    with bonesoup.Soup.open(tmp_path / "out") as soup, soup.blend() as blend:
        assert same_bits(logits_of(blend, TOKENS), wanted)


def test_a_tied_model_whose_ends_differ_is_written_untied(tmp_path: Path) -> None:
    shape = Shape()
    base = random_model(tmp_path / "base", shape)
    folder = tmp_path / "ends"
    folder.mkdir()
    generator = numpy.random.default_rng(5)
    tensors = {
        "base_model.model.model.embed_tokens.lora_embedding_A": generator.normal(size=(2, shape.vocab)),
        "base_model.model.model.embed_tokens.lora_embedding_B": generator.normal(size=(shape.hidden, 2)),
    }
    write_tensors(folder / "adapter_model.safetensors", {key: value.astype("f4") for key, value in tensors.items()})
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    with bonesoup.Soup.open(base) as soup:
        soup.add_backbone(folder)
        with soup.blend(coefficients=[0.5], kind="folded") as blend:
            blend.export(tmp_path / "out")
            blend.export(tmp_path / "adapter", kind="adapter")
            wanted = logits_of(blend, TOKENS)
        soup.export(tmp_path / "tied", point={"coefficients": [0.0]})
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False
    assert "lm_head.weight" in read_tensors(tmp_path / "out" / "model.safetensors")
    with bonesoup.Soup.open(tmp_path / "out") as soup, soup.blend() as blend:
        assert same_bits(logits_of(blend, TOKENS), wanted)
    assert json.loads((tmp_path / "tied" / "config.json").read_text())["tie_word_embeddings"] is True
    assert "lm_head.weight" not in read_tensors(tmp_path / "tied" / "model.safetensors")
    with bonesoup.Soup.open(base) as soup:
        soup.add_backbone(tmp_path / "adapter")
        with soup.blend(coefficients=[1.0], kind="live") as blend:
            assert worst(logits_of(blend, TOKENS), wanted) < 1e-4


def low_rank_points() -> list[tuple[str, list[float]]]:
    return [(name, row) for name, row in points() if name != "llama3-full"]


def base_of(name: str) -> Path:
    return SOUPS / name / str(json.loads((SOUPS / name / "soup.json").read_text())["base"])


@pytest.mark.parametrize(("name", "coefficients"), low_rank_points())
def test_an_exported_adapter_is_the_blend(name: str, coefficients: list[float], tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / name) as soup:
        assert soup.export(tmp_path / "out", point={"coefficients": coefficients}, kind="adapter") is None
        wanted = [logits_of(soup.blend(coefficients=coefficients, kind=kind), TOKENS) for kind in KINDS]
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    rank = config["r"]
    assert rank in RANKS and config["lora_alpha"] == rank
    assert not config["rank_pattern"] and not config["alpha_pattern"] and config["bias"] == "none"
    for key, tensor in read_tensors(tmp_path / "out" / "adapter_model.safetensors").items():
        assert tensor.shape[1 if key.endswith(("lora_B.weight", "lora_embedding_B")) else 0] == rank
    with bonesoup.Soup.open(base_of(name)) as soup:
        soup.add_backbone(tmp_path / "out")
        got = [logits_of(soup.blend(coefficients=[1.0], kind=kind), TOKENS) for kind in KINDS]
    assert all(worst(logits, expected) < 1e-5 for logits, expected in zip(got, wanted, strict=True))


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[bonesoup.Soup, dict[str, Floats], list[Adapter], list[float]]:
    """A soup of adapters with several ranks, scales and module sets, and coefficients of both signs."""
    shape = Shape()
    tensors = shape.random_tensors(1)
    adapters = [
        Adapter(shape, 2, rank=3, alpha=6.0),
        Adapter(shape, 3, rank=7, alpha=3.0, modules=[(1, "self_attn.q_proj"), (1, "mlp.down_proj")]),
        Adapter(shape, 4, rank=5, alpha=5.0, modules=[(0, "mlp.up_proj"), (1, "mlp.up_proj")]),
    ]
    soup = bonesoup.Soup.open(write_model(tmp_path / "base", shape, tensors))
    for number, adapter in enumerate(adapters):
        soup.add_backbone(adapter.write(tmp_path / f"adapter-{number}"))
    return soup, tensors, adapters, [-0.75, 1.75, 0.5]


def products(folder: Path) -> dict[str, Floats]:
    """U·D of every module, in float64, by the weight's name."""
    tensors = read_tensors(folder / "adapter_model.safetensors")
    found = {}
    for key, down in tensors.items():
        if key.endswith(".lora_A.weight"):
            module = key[len("base_model.model.") : -len(".lora_A.weight")]
            up = tensors[key.replace("lora_A", "lora_B")].astype("f8")
            found[module + ".weight"] = up @ down.astype("f8")
    return found


def changes(tensors: dict[str, Floats], adapters: list[Adapter], coefficients: list[float]) -> dict[str, Any]:
    """Σ λᵢ(αᵢ/rᵢ)UᵢDᵢ by name, in float64."""
    found: dict[str, Any] = {}
    for adapter, coefficient in zip(adapters, coefficients, strict=True):
        for name, (down, up) in adapter.factors.items():
            change = coefficient * adapter.alpha / adapter.rank * (up.astype("f8") @ down.astype("f8"))
            found[name] = found.get(name, 0) + change
    return found


def test_ranks_are_joined_and_padded(mixed: Any, tmp_path: Path) -> None:
    soup, tensors, adapters, coefficients = mixed
    point: bonesoup.options.BlendChoice = {"coefficients": coefficients}
    with soup:
        soup.export(tmp_path / "out", point=point, kind="adapter")
        size = soup.export_size(point=point, kind="adapter")
    wanted, got = changes(tensors, adapters, coefficients), products(tmp_path / "out")
    assert set(got) == set(wanted)
    for name, change in wanted.items():
        assert numpy.abs(got[name] - change).max() < 1e-6 * numpy.abs(change).max(), name
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["r"] == 16  # 3 + 7 and 3 + 5, padded
    written = read_tensors(tmp_path / "out" / "adapter_model.safetensors")
    assert sum(tensor.nbytes for tensor in written.values()) == size
    assert not written["base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight"][3:].any()
    assert not written["base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight"][:, 3:].any()
    assert sorted(config["target_modules"]) == sorted({name.split(".")[-2] for name in wanted})


def test_modules_of_some_layers_alone_are_named_in_full(mixed: Any, tmp_path: Path) -> None:
    soup, *_ = mixed
    with soup:
        soup.export(tmp_path / "out", point={"coefficients": [0.0, 1.0, 1.0]}, kind="adapter")
    targets = json.loads((tmp_path / "out" / "adapter_config.json").read_text())["target_modules"]
    assert sorted(targets) == ["model.layers.1.mlp.down_proj", "model.layers.1.self_attn.q_proj", "up_proj"]


def test_the_base_itself_is_an_adapter_of_zeros(mixed: Any, tmp_path: Path) -> None:
    soup, _, adapters, _ = mixed
    with soup:
        soup.export(tmp_path / "out", point={"coefficients": [0.0, 0.0, 0.0]}, kind="adapter")
    got = products(tmp_path / "out")
    assert set(got) == set(adapters[0].factors) and not any(change.any() for change in got.values())


def test_layer_multipliers_are_kept(mixed: Any, tmp_path: Path) -> None:
    soup, _, _, coefficients = mixed
    multipliers = [[0.5, 2.0], [1.0, -1.0], [0.0, 3.0]]
    with soup:
        for kind in ("folder", "adapter"):
            soup.export(
                tmp_path / kind, point={"coefficients": coefficients, "layer_multipliers": multipliers}, kind=kind
            )
        with soup.blend(coefficients=coefficients, layer_multipliers=multipliers) as blend:
            wanted = logits_of(blend, TOKENS)
    with bonesoup.Soup.open(tmp_path / "folder") as soup, soup.blend() as blend:
        assert worst(logits_of(blend, TOKENS), wanted) < 1e-5
    with bonesoup.Soup.open(tmp_path / "base") as soup:
        soup.add_backbone(tmp_path / "adapter")
        with soup.blend(coefficients=[1.0]) as blend:
            assert worst(logits_of(blend, TOKENS), wanted) < 1e-5


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_recompression_comes_near_the_least_error_and_states_it(mixed: Any, rank: int, tmp_path: Path) -> None:
    soup, tensors, adapters, coefficients = mixed
    with soup:
        lost = soup.export(tmp_path / "out", point={"coefficients": coefficients}, kind="adapter", rank=rank)
    assert lost is not None
    wanted, got = changes(tensors, adapters, coefficients), products(tmp_path / "out")
    whole = total = 0.0
    for tensor in lost.tensors:
        change = wanted[tensor.name]
        left = numpy.linalg.svd(change, compute_uv=False)[rank:]
        least = float(numpy.sqrt((left**2).sum()))
        measured = float(numpy.linalg.norm(got[tensor.name] - change))
        assert measured <= least * 1.0001 + 1e-5 * tensor.norm
        assert tensor.error == pytest.approx(measured / numpy.linalg.norm(change), rel=1e-3, abs=1e-6)
        assert tensor.norm == pytest.approx(numpy.linalg.norm(change), rel=1e-5)
        whole, total = whole + measured**2, total + tensor.norm**2
    assert lost.error == pytest.approx((whole / total) ** 0.5, rel=1e-3, abs=1e-6)
    assert lost.rank in RANKS and all(tensor.rank <= rank for tensor in lost.tensors)


def test_what_cannot_be_exported_says_why(mixed: Any, tmp_path: Path) -> None:
    soup, *_ = mixed
    out = tmp_path / "out"
    with bonesoup.Soup.open(SOUPS / "llama3-full") as full:
        with pytest.raises(bonesoup.UnsupportedError, match=r"backbone 0 \(backbones/0\).*factor it first"):
            full.export(out, kind="adapter")
        with pytest.raises(bonesoup.InvalidArgumentError, match="a folder has no rank"):
            full.export(out, rank=4)
    with bonesoup.Soup.open(MODELS / "llama3") as plain:
        with pytest.raises(bonesoup.InvalidArgumentError, match="no low-rank backbones"):
            plain.export(out, kind="adapter")
        with pytest.raises(bonesoup.InvalidArgumentError, match="one file"):
            plain.export(out, kind="adapter", shard_size=5)
        with pytest.raises(TypeError, match="colour"):
            plain.export(out, colour="red")  # type: ignore[call-arg]
    with soup:
        with pytest.raises(bonesoup.InvalidArgumentError, match="exists already"):
            soup.export(tmp_path / "base")
        with pytest.raises(bonesoup.InvalidArgumentError, match="exists already"):
            soup.export(tmp_path / "base" / "config.json")
        with pytest.raises(bonesoup.NotFoundError, match="does not exist"):
            soup.export(tmp_path / "nowhere" / "out")
        with pytest.raises(bonesoup.BoneSoupError):
            soup.export(tmp_path / "base" / "config.json" / "out")
        with pytest.raises(bonesoup.InvalidArgumentError):
            soup.export("")
        with pytest.raises(bonesoup.MismatchError):
            soup.export(out, point={"coefficients": [1.0]})
    assert not out.exists()
    out.mkdir()
    with bonesoup.Soup.open(MODELS / "llama3") as plain:
        plain.export(out)  # an empty folder is as good as none
    assert (out / "config.json").exists()


def test_ranks_above_512_need_a_recompression(tmp_path: Path) -> None:
    shape = Shape()
    with bonesoup.Soup.open(random_model(tmp_path / "base", shape)) as soup:
        for number in range(2):
            soup.add_backbone(Adapter(shape, number, rank=300).write(tmp_path / str(number)))
        with pytest.raises(bonesoup.UnsupportedError, match="the ranks add up to 600"):
            soup.export(tmp_path / "out", point={"coefficients": [1.0, -1.0]}, kind="adapter")
        lost = soup.export(tmp_path / "out", point={"coefficients": [1.0, -1.0]}, kind="adapter", rank=48)
        assert lost is not None and lost.rank == 64 and lost.error < 1e-5


def test_numbers_that_f16_does_not_hold_are_refused(tmp_path: Path) -> None:
    shape = Shape()
    tensors = shape.random_tensors(0)
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * numpy.float32(1e6)
    with bonesoup.Soup.open(write_model(tmp_path / "base", shape, tensors)) as soup:
        with pytest.raises(bonesoup.UnsupportedError, match=r"model\.norm\.weight.*f16"):
            soup.export(tmp_path / "out", format="f16")
        soup.export(tmp_path / "out", format="bf16")
    assert sorted(os.listdir(tmp_path)) == ["base", "out"]


def test_files_that_are_not_kept_cannot_be_exported(tmp_path: Path) -> None:
    names = ("config.json", "model.safetensors", "tokenizer.json")
    files = {f"m/{name}": (MODELS / "llama3" / name).read_bytes() for name in names}
    with bonesoup.Soup.open("m", files=files) as soup, soup.blend() as blend:
        blend.export(tmp_path / "out")
        assert (tmp_path / "out" / "tokenizer.json").read_bytes() == files["m/tokenizer.json"]
    soup = bonesoup.Soup.open("m", files=files, load="copy")
    with soup, pytest.raises(bonesoup.UnsupportedError, match="not kept"):
        soup.export(tmp_path / "copied")


def test_progress_rises_and_a_cancel_leaves_nothing(mixed: Any, tmp_path: Path) -> None:
    soup, *_ = mixed
    with soup:
        before = sorted(os.listdir(tmp_path))
        for kind in ("folder", "adapter"):
            shares: list[float] = []
            soup.export(tmp_path / kind, point={"coefficients": [1.0, 0.5, -0.5]}, kind=kind, progress=shares.append)
            assert shares == sorted(shares) and shares[-1] == 1 and len(shares) > 5
            with pytest.raises(bonesoup.CancelledError):
                soup.export(tmp_path / "stopped", kind=kind, progress=lambda share: share < 0.5)
            with pytest.raises(ZeroDivisionError):
                soup.export(tmp_path / "stopped", kind=kind, progress=lambda share: bool(1 // 0))
            with bonesoup.Cancel() as cancel:
                cancel.request()
                with pytest.raises(bonesoup.CancelledError):
                    soup.export(tmp_path / "stopped", kind=kind, cancel=cancel)
        assert sorted(os.listdir(tmp_path)) == sorted([*before, "folder", "adapter"])


def test_a_blend_that_is_not_ready_is_exported_all_the_same(tmp_path: Path) -> None:
    with (
        bonesoup.Soup.open(SOUPS / "llama3-full") as soup,
        soup.blend(background=True, progress=lambda share: time.sleep(0.01)) as blend,
    ):
        blend.export(tmp_path / "out")
        blend.wait()
        wanted = logits_of(blend, TOKENS)
    with bonesoup.Soup.open(tmp_path / "out") as soup, soup.blend() as blend:
        assert same_bits(logits_of(blend, TOKENS), wanted)


@pytest.mark.parametrize("name", ["llama3-full", "llama3-lora"])
@pytest.mark.parametrize("method", ["ties", "dare_ties"])
def test_what_a_method_makes_is_exported(name: str, method: str, tmp_path: Path) -> None:
    point: bonesoup.options.BlendChoice = {"method": method, "kind": "folded"}
    with bonesoup.Soup.open(SOUPS / name) as soup:
        soup.export(tmp_path / "out", point=point)
        with soup.blend(**point) as blend:
            wanted = logits_of(blend, TOKENS)
        with pytest.raises(bonesoup.UnsupportedError, match=f"made by {method}"):
            soup.export(tmp_path / "adapter", point=point, kind="adapter")
    assert f"`{method}`" in (tmp_path / "out" / "README.md").read_text()
    with bonesoup.Soup.open(tmp_path / "out") as soup, soup.blend() as blend:
        assert same_bits(logits_of(blend, TOKENS), wanted)
