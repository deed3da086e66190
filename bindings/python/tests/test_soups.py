"""Soups of fixtures: every blend, folded and live, against weights that were mixed in float64."""

from __future__ import annotations

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS, integers, logits_of, read_tensors, same_bits, worst

NAMES = sorted(path.name for path in SOUPS.iterdir())
LOW_RANK = [name for name in NAMES if name != "llama3-full"]
CASES = [(name, "folded") for name in NAMES] + [(name, "live") for name in LOW_RANK]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_blends_have_the_expected_logits(name: str, kind: bonesoup.options.BlendKind) -> None:
    expected = read_tensors(SOUPS / name / "expected.safetensors")
    tokens = integers(expected["tokens"])
    with bonesoup.Soup.open(SOUPS / name) as soup:
        for coefficients, logits in zip(expected["coefficients"], expected["logits"], strict=True):
            with soup.blend(coefficients=coefficients, kind=kind) as blend:
                assert blend.kind == kind
                assert worst(logits_of(blend, tokens)[-len(logits) :], logits) < 1e-4, coefficients


@pytest.mark.parametrize(
    ("name", "preference", "coefficients"),
    [
        ("llama3-full", {"brief": 1.0}, (-0.75, 1.75)),
        ("llama3-full", {"brief": 0.5, "happy": 0.5}, (0.5, 0.5)),
        ("llama3-lora", {"brief": 1.0}, (2.0, -0.5, -0.5)),
        ("llama3-lora", [1 / 3, 1 / 3, 1 / 3], (1 / 3, 1 / 3, 1 / 3)),
        ("qwen2-lora", [1.0, 0.0], (1.5, -0.5)),
    ],
)
def test_a_preference_becomes_coefficients(
    name: str, preference: bonesoup.options.Preference, coefficients: tuple[float, ...]
) -> None:
    with bonesoup.Soup.open(SOUPS / name) as soup, soup.blend(preference=preference) as blend:
        assert blend.coefficients == pytest.approx(coefficients, abs=1e-12)
        assert soup.solve(preference=preference).coefficients == blend.coefficients
        full = 1.0 if name == "llama3-full" else 0.0
        assert blend.base_share == pytest.approx(1 - full * sum(coefficients), abs=1e-12)
        with soup.blend(coefficients=blend.coefficients) as same:
            tokens = list(range(20))
            assert same_bits(logits_of(blend, tokens), logits_of(same, tokens))
            assert same.preference is None


def test_one_backbone_alone_folded_has_its_own_bits() -> None:
    tokens = list(range(40))
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        for index in range(2):
            one_hot = [float(index == other) for other in range(2)]
            with (
                bonesoup.Soup.open(SOUPS / "llama3-full" / "backbones" / str(index)) as alone,
                alone.blend() as own,
                soup.blend(coefficients=one_hot) as blend,
            ):
                assert same_bits(logits_of(blend, tokens), logits_of(own, tokens))
                assert blend.base_share == 0.0


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_coefficients_of_zero_have_the_bits_of_the_base(name: str, kind: bonesoup.options.BlendKind) -> None:
    tokens = list(range(40))
    model = name.partition("-")[0]
    with (
        bonesoup.Soup.open(SOUPS / name) as soup,
        bonesoup.Soup.open(MODELS / model) as alone,
        alone.blend() as own,
        soup.blend(coefficients=[0.0] * len(soup.backbones), kind=kind) as blend,
    ):
        assert same_bits(logits_of(blend, tokens), logits_of(own, tokens))


def test_a_full_backbone_cannot_be_live() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        assert soup.blend().kind == "folded"
        with pytest.raises(bonesoup.UnsupportedError):
            soup.blend(kind="live")


def test_live_is_the_default_of_a_low_rank_soup_and_agrees_with_folded() -> None:
    tokens = list(range(60))
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        assert soup.info.live
        with (
            soup.blend(preference=[0.2, 0.5, 0.3]) as live,
            soup.blend(preference=[0.2, 0.5, 0.3], kind="folded") as folded,
        ):
            assert (live.kind, folded.kind) == ("live", "folded")
            assert live.fingerprint != folded.fingerprint
            assert worst(logits_of(live, tokens), logits_of(folded, tokens)) < 1e-5


def test_layer_multipliers_of_one_change_nothing_and_others_do() -> None:
    tokens = list(range(30))
    with bonesoup.Soup.open(SOUPS / "qwen2-lora") as soup:
        layers = soup.info.layers
        ones = [[1.0] * layers] * 2
        with (
            soup.blend(coefficients=[0.6, 0.4]) as plain,
            soup.blend(coefficients=[0.6, 0.4], layer_multipliers=ones) as same,
            soup.blend(coefficients=[0.6, 0.4], layer_multipliers=[[0.5] * layers] * 2) as half,
            soup.blend(coefficients=[0.3, 0.2]) as small,
            soup.blend(coefficients=[0.6, 0.4], layer_multipliers=[[1.0] + [0.0] * (layers - 1)] * 2) as first,
        ):
            assert same_bits(logits_of(plain, tokens), logits_of(same, tokens))
            assert worst(logits_of(half, tokens), logits_of(small, tokens)) < 1e-5
            assert worst(logits_of(first, tokens), logits_of(plain, tokens)) > 1e-3
            assert len({plain.fingerprint, half.fingerprint, first.fingerprint}) == 3
        with pytest.raises(bonesoup.BoneSoupError):
            soup.blend(coefficients=[0.6, 0.4], layer_multipliers=ones, kind="folded")
        with pytest.raises(bonesoup.MismatchError):
            soup.blend(coefficients=[0.6, 0.4], layer_multipliers=[[1.0]])


def test_building_call_by_call_gives_the_bits_of_soup_json() -> None:
    tokens = list(range(40))
    adapters = MODELS / "llama3" / "adapters"
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as read, bonesoup.Soup.open(MODELS / "llama3") as built:
        assert [built.add_backbone(adapters / name) for name in ("plain", "patterns", "attention")] == [0, 1, 2]
        assert [built.add_objective(name) for name in ("brief", "happy", "rich")] == [0, 1, 2]
        assert built.matrix is None
        built.set_bone_matrix(0.6)
        assert numpy.allclose(numpy.array(built.matrix), numpy.array(read.matrix), rtol=0, atol=1e-15)
        for kind in ("live", "folded"):
            preference = {"brief": 0.2, "happy": 0.7, "rich": 0.1}
            with (
                read.blend(preference=preference, kind=kind) as one,
                built.blend(preference=preference, kind=kind) as other,
            ):
                assert same_bits(logits_of(one, tokens), logits_of(other, tokens))
