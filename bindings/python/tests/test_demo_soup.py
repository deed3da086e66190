"""The demo soup: each slider moves its own objective, and the manifests are what they say."""

from __future__ import annotations

import importlib
import pathlib
import statistics
import sys
from collections.abc import Iterator

import pytest

import bonesoup
from support import FIXTURES

DEMO = FIXTURES / "demo-soup"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "recipes" / "tinystories"))
measure = importlib.import_module("measure")
OBJECTIVES = ["brief", "happy", "vivid"]


@pytest.fixture(scope="module")
def soup() -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(DEMO) as opened:
        yield opened


@pytest.mark.parametrize("name", OBJECTIVES)
def test_slider_moves_its_own_objective_monotonically(soup: bonesoup.Soup, name: str) -> None:
    rows = measure.sweep(soup, name, measure.PROMPTS, tokens=256)
    means = [statistics.fmean(row[name]) for row in rows]
    assert all(a < b for a, b in zip(means, means[1:])), means


def test_demo_soup_names_its_objectives_and_presets(soup: bonesoup.Soup) -> None:
    assert [objective.name for objective in soup.objectives] == OBJECTIVES
    for objective in soup.objectives:
        assert objective.label and objective.description
    for preset in soup.presets:
        text = soup.generate("One day,", preset=preset, temperature=0.8, seed=2, max_tokens=20).text
        assert text.strip()


@pytest.mark.parametrize("file", ["soup.json", "soup-folded.json"])
def test_sliders_change_the_text(file: str) -> None:
    with bonesoup.Soup.open(DEMO / file) as opened:
        texts = {opened.generate("Once upon a time", preference={name: 1.0}, max_tokens=60).text for name in OBJECTIVES}
    assert len(texts) == len(OBJECTIVES)


def test_full_backbone_of_the_folded_soup_is_its_checkpoint() -> None:
    with bonesoup.Soup.open(DEMO / "soup-folded.json", weights="f32") as opened:
        blended = opened.generate("The dog", coefficients=[0.0, 1.0, 0.0], kind="folded", max_tokens=40).tokens
        prompt = opened.tokenize("The dog")
    with bonesoup.Soup.open(DEMO / "backbones" / "happy-full", weights="f32") as alone:
        assert alone.generate(prompt, max_tokens=40).tokens == blended


def test_demo_soup_takes_at_most_4_megabytes() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 4_000_000
