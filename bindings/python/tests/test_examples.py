"""The Python hosts of bindings/examples, run as they stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import FIXTURES

PACKAGE = Path(__file__).parent.parent
EXAMPLES = PACKAGE.parent / "examples"
DEMO = str(FIXTURES / "demo-soup")


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_story_follows_its_preference() -> None:
    happy, vivid = run("story.py", DEMO, "happy=1"), run("story.py", DEMO, "vivid=1")
    assert len(happy) > 50 and len(vivid) > 50
    assert happy != vivid


def test_output_obeys_a_schema() -> None:
    pytest.importorskip("llguidance")
    person = json.loads(run("json_schema.py", DEMO))
    assert set(person) == {"name", "age"}
    assert isinstance(person["name"], str) and len(person["name"]) <= 12
    assert 1 <= person["age"] <= 99
