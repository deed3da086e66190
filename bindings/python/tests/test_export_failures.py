"""Exports that are killed, that fail or that meet others: what is at the target is whole, or nothing is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS, Shape, random_model

WRITE = """
import sys, time, bonesoup
soup = bonesoup.Soup.open(sys.argv[1])
print("ready", flush=True)
def slowly(share):
    time.sleep(0.002)
soup.export(sys.argv[2], kind=sys.argv[3], progress=slowly)
"""


def writer(arguments: list[str], **how: Any) -> subprocess.Popen[str]:
    package = str(Path(bonesoup.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": package}
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, *arguments], env=environment, stdout=subprocess.PIPE, text=True, **how
    )


@pytest.mark.parametrize("kind", ["folder", "adapter"])
def test_a_killed_export_is_absent_or_whole(kind: str, tmp_path: Path) -> None:
    soup, out = str(SOUPS / "llama3-lora"), tmp_path / "out"
    times = numpy.random.default_rng(3).uniform(0, 0.06, 10)
    absent = 0
    for pause in times:
        process = writer([soup, str(out), kind])
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
        assert set(os.listdir(tmp_path)) <= {"out", ".out.partial"}
        if not out.exists():
            absent += 1
            continue
        check_whole(out, kind)
        break
    assert absent or out.exists()
    if not out.exists():
        with bonesoup.Soup.open(soup) as opened:
            opened.export(out, kind=kind)  # type: ignore[arg-type]
        check_whole(out, kind)
        assert os.listdir(tmp_path) == ["out"]


def check_whole(out: Path, kind: str) -> None:
    if kind == "folder":
        bonesoup.Soup.open(out, verify="finite").close()
    else:
        with bonesoup.Soup.open(MODELS / "llama3") as soup:
            soup.add_backbone(out, verify="finite")


def test_a_disk_that_is_full_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files fails as a disk does when it is full, and needs no rights.
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    process = writer(
        [str(SOUPS / "llama3-full"), str(tmp_path / "out"), "folder"], preexec_fn=limited, stderr=subprocess.PIPE
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "FileReadError" in errors and "model.safetensors cannot" in errors
    assert os.listdir(tmp_path) == []


def test_a_damaged_source_is_an_error(tmp_path: Path) -> None:
    shape = Shape()
    base = random_model(tmp_path / "base", shape)
    data = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(data[:-5])
    with pytest.raises(bonesoup.MalformedError):
        bonesoup.Soup.open(base)
    (base / "model.safetensors").write_bytes(data)
    with bonesoup.Soup.open(base) as soup:
        # What the export reads again may have changed or gone by then.
        (base / "config.json").write_text("{")
        with pytest.raises(bonesoup.MalformedError, match=r"config\.json"):
            soup.export(tmp_path / "out", format="bf16")
        (base / "config.json").unlink()
        with pytest.raises(bonesoup.NotFoundError, match=r"config\.json"):
            soup.export(tmp_path / "out")
    assert os.listdir(tmp_path) == ["base"]


def test_two_exports_to_one_path_do_not_mix(tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        failures: list[bonesoup.BoneSoupError] = []

        def again(share: float) -> None:
            with pytest.raises(bonesoup.BusyError) as failure:
                soup.export(tmp_path / "out")
            failures.append(failure.value)

        soup.export(tmp_path / "out", progress=again)
        assert failures and "somebody else" in str(failures[0])
    check_whole(tmp_path / "out", "folder")
