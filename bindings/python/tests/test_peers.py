"""Silent wrong answers that were seen in other engines, none of which may happen here."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy
import pytest

import bonesoup
from bonesoup.options import BlendKind
from support import LINEARS, Adapter, Floats, Shape, last_logits, logits_of, same_bits, worst, write_model

SHAPE = Shape(hidden=32, layers=2, inner=48, heads=4, vocab=96)
TOKENS = [(5 * index + index // 7) % 96 for index in range(100)]
KINDS: list[BlendKind] = ["live", "folded"]


@pytest.fixture
def base(tmp_path: pathlib.Path) -> Iterator[bonesoup.Soup]:
    write_model(tmp_path / "base", SHAPE, SHAPE.random_tensors(0))
    with bonesoup.Soup.open(tmp_path / "base") as soup:
        yield soup


def by_hand(folder: pathlib.Path, *parts: tuple[Adapter, float]) -> Floats:
    """Return the logits of a full model whose weights were merged in float64."""
    tensors = SHAPE.random_tensors(0)
    for adapter, coefficient in parts:
        tensors = adapter.merged(tensors, coefficient)
    write_model(folder, SHAPE, tensors)
    with bonesoup.Soup.open(folder) as soup, soup.blend() as blend:
        return logits_of(blend, TOKENS)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_values_are_never_used_under_another_blend(
    base: bonesoup.Soup, tmp_path: pathlib.Path, kind: BlendKind
) -> None:
    """OpenVINO's prefix cache gives a request the keys and values that other adapters made of the same prompt."""
    base.add_backbone(Adapter(SHAPE, 1).write(tmp_path / "a"))
    with base.blend(coefficients=[1.0], kind=kind) as one, base.blend(coefficients=[-0.5], kind=kind) as other:
        fresh = logits_of(other, TOKENS)[-1]
        with one.session() as warm, other.session() as same_prompt:
            warm.append(TOKENS)
            warm.decode()
            same_prompt.append(TOKENS)
            same_prompt.decode()
            assert same_bits(last_logits(same_prompt), fresh)
            with warm.fork() as fork:
                fork.set_blend(other)
                fork.append([3])
                bonesoup.decode([fork, warm])
                assert same_bits(last_logits(fork), logits_of(other, [*TOKENS, 3])[-1])
            warm.set_blend(other)
            warm.decode()
            assert same_bits(last_logits(warm), fresh)


@pytest.mark.parametrize("kind", KINDS)
def test_the_adapters_own_scale_counts(base: bonesoup.Soup, tmp_path: pathlib.Path, kind: BlendKind) -> None:
    """OpenVINO ignores α/r."""
    for name, alpha in (("one", 4.0), ("four", 16.0)):
        base.add_backbone(Adapter(SHAPE, 1, alpha=alpha).write(tmp_path / name))
    with (
        base.blend(coefficients=[1.0, 0.0], kind=kind) as one,
        base.blend(coefficients=[0.0, 1.0], kind=kind) as four,
        base.blend(coefficients=[4.0, 0.0], kind=kind) as scaled,
    ):
        assert worst(logits_of(four, TOKENS), logits_of(scaled, TOKENS)) < 1e-5
        assert worst(logits_of(four, TOKENS), logits_of(one, TOKENS)) > 1e-2
        expected = by_hand(tmp_path / "merged", (Adapter(SHAPE, 1, alpha=16.0), 1.0))
        assert worst(logits_of(four, TOKENS), expected) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("linear", LINEARS)
@pytest.mark.parametrize("layer", range(SHAPE.layers))
def test_no_layer_is_left_out(
    base: bonesoup.Soup, tmp_path: pathlib.Path, layer: int, linear: str, kind: BlendKind
) -> None:
    """ik_llama.cpp leaves out gate and up under its default fusion, and reports success."""
    adapter = Adapter(SHAPE, 2, modules=[(layer, linear)])
    base.add_backbone(adapter.write(tmp_path / "a"))
    assert base.backbones[0].modules == 1
    expected = by_hand(tmp_path / "merged", (adapter, 1.0))
    with base.blend(coefficients=[1.0], kind=kind) as blend, base.blend(coefficients=[0.0], kind=kind) as none:
        logits = logits_of(blend, TOKENS)
        assert worst(logits, expected) < 1e-4
        assert worst(logits, logits_of(none, TOKENS)) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_coefficients_always_counts(base: bonesoup.Soup, tmp_path: pathlib.Path, kind: BlendKind) -> None:
    """ik_llama.cpp ignores changed scales where it uses a graph again, in the middle of a text too."""
    base.add_backbone(Adapter(SHAPE, 3).write(tmp_path / "a"))
    coefficients = [1.0, 0.25, -0.5, 0.0]
    blends = [base.blend(coefficients=[value], kind=kind) for value in coefficients]
    fresh = [logits_of(blend, TOKENS) for blend in blends]
    assert len({logits.tobytes() for logits in fresh}) == len(blends)
    with blends[0].session() as session:
        for count in range(1, 60):
            index = count % len(blends)
            session.append([TOKENS[count - 1]])
            session.set_blend(blends[index])
            session.decode()
            assert same_bits(last_logits(session), fresh[index][count - 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coefficients", [(-0.75, 1.75), (-0.75, 0.0), (-1.0, -1.0), (2.0, -0.5)])
def test_negative_coefficients_subtract(
    base: bonesoup.Soup, tmp_path: pathlib.Path, coefficients: tuple[float, float], kind: BlendKind
) -> None:
    """LoRAX puts the weight on both factors, and PEFT's `linear` its root: signs and cross terms go wrong."""
    adapters = [Adapter(SHAPE, 4), Adapter(SHAPE, 5, rank=6, alpha=3.0)]
    for index, adapter in enumerate(adapters):
        base.add_backbone(adapter.write(tmp_path / str(index)))
    expected = by_hand(tmp_path / "merged", *zip(adapters, coefficients))
    with base.blend(coefficients=coefficients, kind=kind) as blend:
        assert worst(logits_of(blend, TOKENS), expected) < 1e-4


def test_a_blend_that_cannot_be_made_is_no_base(base: bonesoup.Soup, tmp_path: pathlib.Path) -> None:
    """In ik_llama.cpp setting an adapter fails under flash attention, and the caller goes on with the base."""
    base.add_backbone(write_model(tmp_path / "full", SHAPE, SHAPE.random_tensors(9)))
    with base.blend(coefficients=[1.0]) as blend, blend.session() as session:
        session.append(TOKENS)
        session.decode()
        before = last_logits(session)
        with pytest.raises(bonesoup.UnsupportedError):
            session.set_blend(base.blend(coefficients=[0.5], kind="live"))
        session.decode()
        assert same_bits(last_logits(session), before)


def test_full_backbones_extrapolate(base: bonesoup.Soup, tmp_path: pathlib.Path) -> None:
    """Coefficients below 0 and above 1 are neither clamped nor normalised."""
    tensors = [SHAPE.random_tensors(seed) for seed in (0, 11, 12)]
    for index in (1, 2):
        base.add_backbone(write_model(tmp_path / str(index), SHAPE, tensors[index]))
    coefficients = (0.3, -0.2)
    mixed = {}
    for name, start in tensors[0].items():
        exact = start.astype(numpy.float64)
        for coefficient, other in zip(coefficients, tensors[1:]):
            exact = exact + coefficient * (other[name].astype(numpy.float64) - start)
        mixed[name] = exact.astype(numpy.float32)
    write_model(tmp_path / "mixed", SHAPE, mixed)
    with (
        bonesoup.Soup.open(tmp_path / "mixed") as soup,
        soup.blend() as expected,
        base.blend(coefficients=coefficients) as blend,
    ):
        assert blend.base_share == pytest.approx(0.9)
        assert worst(logits_of(blend, TOKENS), logits_of(expected, TOKENS)) < 1e-4
