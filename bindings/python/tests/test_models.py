"""Every architecture against the logits that transformers gives for it."""

from __future__ import annotations

import pathlib

import pytest

import bonesoup
from support import MODELS, greedy, integers, logits_of, logits_one_by_one, read_tensors, relative, worst

NAMES = sorted(path.name for path in MODELS.iterdir())
HALVES = ["llama3-bf16", "mistral-f16"]
ADAPTERS = sorted(str(path.relative_to(MODELS)) for path in MODELS.glob("*/adapters/*"))
PROMPT = 8  # the first tokens, which the greedy continuation follows


def base(path: pathlib.Path) -> bonesoup.Soup:
    return bonesoup.Soup.open(path, weights="f32")


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers(name: str) -> None:
    expected = read_tensors(MODELS / name / "expected.safetensors")
    tokens = integers(expected["tokens"])
    with base(MODELS / name) as soup, soup.blend() as blend:
        assert worst(logits_of(blend, tokens), expected["logits"]) < 1e-4
        assert worst(logits_one_by_one(blend, tokens), expected["logits"]) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_greedy_continuation_is_that_of_transformers(name: str) -> None:
    expected = read_tensors(MODELS / name / "expected.safetensors")
    tokens, continuation = integers(expected["tokens"]), integers(expected["greedy"])
    with base(MODELS / name) as soup, soup.blend() as blend:
        assert greedy(blend, tokens[:PROMPT], len(continuation)) == continuation


@pytest.mark.parametrize("name", HALVES)
def test_weights_of_16_bits_are_near_in_their_own_format(name: str) -> None:
    expected = read_tensors(MODELS / name / "expected.safetensors")
    with bonesoup.Soup.open(MODELS / name) as soup, soup.blend() as blend:
        assert soup.info.weights == name.rpartition("-")[2]
        with blend.session() as session:
            assert session.info.kv_format == "f16"
        # In bf16 the inputs of products are rounded too, which such narrow random models show most.
        assert relative(logits_of(blend, integers(expected["tokens"])), expected["logits"]) < 1.5e-2


@pytest.mark.parametrize("name", ["llama2", "qwen3"])
@pytest.mark.parametrize("weights", ["bf16", "f16"])
def test_weights_of_32_bits_can_be_run_in_16(name: str, weights: bonesoup.options.Format) -> None:
    expected = read_tensors(MODELS / name / "expected.safetensors")
    with bonesoup.Soup.open(MODELS / name, weights=weights) as soup, soup.blend() as blend:
        assert blend.info.weights == weights
        error = relative(logits_of(blend, integers(expected["tokens"])), expected["logits"])
        assert 0 < error < 2e-2


@pytest.mark.parametrize("kind", ["folded", "live"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_gives_the_logits_of_peft(name: str, kind: bonesoup.options.BlendKind) -> None:
    expected = read_tensors(MODELS / name / "expected.safetensors")
    tokens = integers(expected["tokens"])
    last = len(expected["logits"])
    with base((MODELS / name).parents[1]) as soup:
        soup.add_backbone(MODELS / name)
        with soup.blend(coefficients=[1.0], kind=kind) as blend:
            logits = logits_of(blend, tokens)[-last:]
            assert worst(logits, expected["logits"]) < 1e-4
            assert worst(logits, expected["merged"]) < 1e-4


@pytest.mark.parametrize("load", ["map", "copy"])
def test_a_model_is_the_same_mapped_copied_and_from_memory(load: bonesoup.building.Load) -> None:
    folder = MODELS / "llama2-sharded"
    expected = read_tensors(folder / "expected.safetensors")
    tokens = integers(expected["tokens"])
    files = {f"model/{path.name}": path.read_bytes() for path in folder.iterdir()}
    with (
        bonesoup.Soup.open(folder, load=load) as soup,
        bonesoup.Soup.open("model", files=files, load=load) as other,
        soup.blend() as blend,
        other.blend() as same,
    ):
        assert logits_of(blend, tokens).tobytes() == logits_of(same, tokens).tobytes()
