"""Real small models against references: TinyStories-656K, its soup, and stories260K."""

from __future__ import annotations

import base64
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import bonesoup
from bonesoup.options import BlendKind
from support import FIXTURES, SHARED, Floats, last_logits, needs_shared, relative

TINYSTORIES = SHARED / "models" / "TinyStories-656K"
TINYSOUP = SHARED / "models" / "tinysoup"
STORIES260K = os.environ.get("BONESOUP_STORIES260K")

pytestmark = needs_shared


def last_of(blend: bonesoup.Blend, tokens: list[int]) -> Floats:
    with blend.session() as session:
        session.append(tokens)
        session.decode()
        return last_logits(session)


def assert_logits(logits: Floats, ids: list[int], values: list[float], norm: float) -> None:
    """Compare with the highest logits and the norm of all."""
    limit = 1e-4
    error = numpy.linalg.norm(logits[ids].astype(float) - values)
    assert error < limit * norm
    assert abs(float(numpy.linalg.norm(logits.astype(float))) - norm) < limit * norm
    order = numpy.argsort(-logits, kind="stable")[: len(ids)]
    assert numpy.abs(logits[order] - logits[ids]).max() < 2 * limit * norm  # the same ones, but for near ties


def assert_greedy(soup: bonesoup.Soup, blend: bonesoup.Blend, text: str, expected: dict[str, Any]) -> None:
    """Compare greedy text and tokens where the choices were clearer than the error."""
    ids = expected["greedy_ids"]
    generation = blend.generate(text, max_tokens=len(ids), ignore_end=True)
    if expected["min_greedy_margin"] > 1e-4 * expected.get("logits_l2", 180):
        assert list(generation.tokens) == ids
        assert generation.text == expected["greedy_text"]
    else:
        with blend.session(context=512) as session:  # every choice is the best one or a near tie
            session.append(soup.tokenize(text))
            for token in ids:
                session.decode()
                logits = last_logits(session)
                assert logits.max() - logits[token] < 2e-4 * float(numpy.linalg.norm(logits))
                session.append([token])


TINYSTORIES_PROMPTS: list[dict[str, Any]] = json.loads((FIXTURES / "tinystories-656k.json").read_text())["prompts"]


@pytest.mark.parametrize("case", TINYSTORIES_PROMPTS, ids=lambda case: case["text"][:16])
def test_tinystories_is_that_of_transformers(case: dict[str, Any]) -> None:
    with bonesoup.Soup.open(TINYSTORIES) as soup, soup.blend() as blend:
        assert soup.tokenize(case["text"]) == case["ids"]
        logits = last_of(blend, case["ids"])
        assert_logits(logits, case["top_ids"], case["top_logits"], case["logits_l2"])
        if "logits" in case:
            assert relative(logits, numpy.frombuffer(base64.b64decode(case["logits"]), "<f4")) < 1e-4
        generation = soup.generate(case["text"], max_tokens=len(case["greedy_ids"]), ignore_end=True)
        assert list(generation.tokens) == case["greedy_ids"]
        assert generation.text == case["greedy_text"]
        assert generation.finish_reason == "length"


def expected_logits() -> dict[str, Any]:
    path = TINYSOUP / "expected_logits.json"
    expected: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"models": {}}
    return expected


EXPECTED = expected_logits()
MATRIX = [[0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]


def tinysoup(family: str) -> bonesoup.Soup:
    """Build the soup of one family of backbones call by call."""
    soup = bonesoup.Soup.open(TINYSTORIES)
    for index in range(3):
        folder = "full" if family == "bs70" else "lora"
        soup.add_backbone(TINYSOUP / folder / f"{family}_{index}")
    for name in ("positivity", "simplicity", "detail"):
        soup.add_objective(name)
    soup.set_matrix(MATRIX)
    return soup


@pytest.fixture(scope="module")
def tinysoups() -> Iterator[dict[str, bonesoup.Soup]]:
    soups = {family: tinysoup(family) for family in ("bs70", "lora70")}
    yield soups
    for soup in soups.values():
        soup.close()


def cases() -> Iterator[tuple[str, str, BlendKind]]:
    for model in EXPECTED["models"]:
        for family in ["bs70", "lora70"] if model == "base" else [model.split("_")[0]]:
            yield model, family, "folded"
            if family == "lora70":
                yield model, family, "live"


@pytest.mark.parametrize(("model", "family", "kind"), list(cases()))
def test_tinysoup_has_the_expected_logits_and_text(
    model: str, family: str, kind: BlendKind, tinysoups: dict[str, bonesoup.Soup]
) -> None:
    soup, expected = tinysoups[family], EXPECTED["models"][model]
    if "mu" in expected:
        blend = soup.blend(preference=expected["mu"], kind=kind)
        assert blend.coefficients == pytest.approx(expected["lambda"], abs=1e-12)
    else:
        index = None if model == "base" else int(model[-1])
        blend = soup.blend(coefficients=[float(i == index) for i in range(3)], kind=kind)
    with blend:
        for prompt, result in zip(EXPECTED["prompts"], expected["results"], strict=True):
            assert soup.tokenize(prompt["text"]) == prompt["ids"]
            logits = last_of(blend, prompt["ids"])
            assert_logits(logits, result["top10_ids"], result["top10_logits"], result["logits_l2"])
            assert_greedy(soup, blend, prompt["text"], result)


@pytest.mark.parametrize("config", ["config.json", "config.transformers5.json"])
def test_both_spellings_of_the_configuration_are_read(config: str) -> None:
    folder = TINYSOUP / "full" / "bs70_0"
    files = {
        "m/config.json": (folder / config).read_bytes(),
        **{f"m/{name}": (folder / name).read_bytes() for name in ("model.safetensors", "tokenizer.json")},
    }
    prompt, result = EXPECTED["prompts"][0], EXPECTED["models"]["bs70_0"]["results"][0]
    with bonesoup.Soup.open("m", files=files) as soup, soup.blend() as blend:
        logits = last_of(blend, prompt["ids"])
        assert_logits(logits, result["top10_ids"], result["top10_logits"], result["logits_l2"])


@pytest.mark.skipif(STORIES260K is None, reason="needs BONESOUP_STORIES260K, a folder that Tests/run makes")
def test_stories260k_writes_its_published_text() -> None:
    published = (SHARED / "models" / "stories260K" / "stories260K.greedy200.expected.txt").read_text()
    with bonesoup.Soup.open(pathlib.Path(STORIES260K or "")) as soup:
        generation = soup.generate("", max_tokens=200, ignore_end=True)
        assert generation.text.strip() == published.strip()
