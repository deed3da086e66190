"""bonesoup-bench on the fixture soup: the form of what it tells, not the times."""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import subprocess
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = pathlib.Path(os.environ.get("BONESOUP_BENCH", ROOT / ".build/release/bonesoup-bench"))
SOUP = ROOT / "Tests/Fixtures/demo-soup"
TINY = ["--prefill=16", "--decode=8", "--batch=2", "--buffer=16", "--repetitions=2", "--threads=1"]
RATES = ["prefill of 16", "decode", "decode after 16", "batch of 2", "batch of 2, a preference each, 3 adapters"]
LIMITS = ["streaming read", "merge of three streams", "f32 multiply-add", "bf16 dot", "int8 dot", "int4 dot"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BENCH), *arguments], capture_output=True, text=True, check=False, timeout=300)


def told(*arguments: str) -> dict[str, Any]:
    done = bench(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return told(str(SOUP), *TINY, "--open", "--fold", "--kernels")


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    names = [row["name"] for row in report["rows"]]
    assert len(names) == len(set(names))
    return {row["name"]: row for row in report["rows"]}


def test_a_prompt_that_nobody_asked_for_fits_the_model() -> None:
    names = rows(told(str(SOUP), "--open", "--fold", "--buffer=16", "--repetitions=1", "--no-limits"))
    assert {"prefill of 448", "decode after 448", "from call to first token", "fold of 3 backbones"} <= set(names)
    done = bench(str(SOUP), "--prefill=512", "--no-limits")
    assert done.returncode != 0 and "576 positions" in done.stderr


def test_json_names_the_machine_and_the_model(report: dict[str, Any]) -> None:
    assert report["threads"] == 1
    assert (report["weights"], report["kv"]) == ("bf16", "f16")
    assert report["model"] == str(SOUP)
    assert report["isa"] in ("baseline", "avx2", "avx512", "avx512bf16")
    assert report["version"] and report["cpu"]


def test_every_row_is_a_number_with_its_quartiles(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert set(row) == {"name", "value", "unit", "limit", "share", "low", "high", "repetitions"}
        assert row["low"] <= row["value"] <= row["high"]
        assert row["repetitions"] >= 1
        assert row["unit"] == "%" or row["value"] > 0


def test_a_share_is_the_value_beside_its_limit(report: dict[str, Any]) -> None:
    named = rows(report)
    for name in RATES:
        row = named[name]
        assert row["unit"] == "tokens/s"
        assert math.isclose(row["share"], row["value"] / row["limit"])
    fold = named["fold of 3 backbones"]
    assert math.isclose(fold["share"], fold["limit"] / fold["value"])
    for row in report["rows"]:
        assert (row["share"] is None) or (row["limit"] is not None)


def test_all_that_was_asked_for_is_there(report: dict[str, Any]) -> None:
    expected = [
        *LIMITS,
        *RATES,
        "prefill of 16, loss by 3 adapters",
        "decode, loss by 3 adapters",
        "change of coefficients",
        "matrix 128 × 128, 1 token",
        "matrix 352 × 128, 512 tokens",
        "next token after a change",
        "fold of 3 backbones, read and written",
        "from call to first token",
        "peak memory",
        "anonymous memory",
    ]
    assert set(expected) <= set(rows(report))


def test_losses_stand_beside_the_adapters_share_of_the_work(report: dict[str, Any]) -> None:
    named = rows(report)
    for work in ("prefill of 16", "decode"):
        assert 0 < named[f"{work}, loss by 3 adapters"]["limit"] < 100


def test_only_what_is_asked_for_is_measured() -> None:
    names = set(rows(told(str(SOUP / "base"), *TINY, "--only=decode", "--no-limits")))
    assert names == {"decode", "decode after 16"}
    assert list(rows(told(str(SOUP / "base"), *TINY, "--only=limits"))) == LIMITS


def test_formats_of_the_header_are_those_of_the_command_line() -> None:
    header = (ROOT / "include/bonesoup.h").read_text()
    formats = {name.lower() for name in re.findall(r"BSOUP_FORMAT_(\w+) = \d+", header)} - {"default"}
    line = next(line for line in bench("--help").stdout.splitlines() if "--weights" in line)
    listed = set(line.split("weights:")[1].split("(")[0].replace(",", " ").split())
    assert formats <= listed


@pytest.mark.parametrize("name", re.findall(r"BSOUP_FORMAT_(\w+) = [1-9]", (ROOT / "include/bonesoup.h").read_text()))
def test_every_weight_format_of_the_header_is_measured(name: str) -> None:
    report = told(str(SOUP / "base"), *TINY, "--only=decode", f"--weights={name.lower()}", "--no-limits")
    assert report["weights"] == name.lower()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a model folder or a soup"),
        (["a", "b"], "name one model or soup, not 2"),
        (["a", "--weights", "f8"], "--weights takes one of f32"),
        (["a", "--threads", "-1"], "--threads takes a number from 0 to 1024"),
        (["a", "--prefill"], "--prefill needs a number"),
        (["a", "--json=1"], "--json takes no value"),
        (["a", "--fast"], "there is no option --fast"),
        (["a", "--only", "speed"], "--only takes one of limits"),
        ([str(SOUP / "base"), "--adapters=1", "--no-limits"], "is a model, not a soup"),
        ([str(SOUP), "--adapters=4", "--no-limits"], "the soup has 3"),
        ([str(SOUP / "base"), "--only=fold", "--no-limits"], "needs a soup with backbones"),
    ],
)
def test_wrong_options_are_told_in_a_sentence(arguments: list[str], sentence: str) -> None:
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bonesoup-bench: ") and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_can_not_be_opened_is_told_in_a_sentence(tmp_path: pathlib.Path) -> None:
    done = bench(str(tmp_path), "--no-limits")
    assert done.returncode == 1
    assert "no soup and no model folder" in done.stderr
