"""The table over training seeds."""

from __future__ import annotations

import json
import pathlib

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("moocore", reason="the extra eval is not installed")

from bonesoup.eval import seeds, simplex  # noqa: E402
from bonesoup.eval.methods import Point  # noqa: E402
from bonesoup.eval.scores import Scores  # noqa: E402
from bonesoup.eval.sweep import place  # noqa: E402


def write(folder: pathlib.Path, name: str, gain: float) -> None:
    """A method whose rewards are gain·s·μ at KL s²."""
    (folder / name).mkdir(parents=True)
    for strength in (0.5, 1.0, 2.0):
        for preference in [*simplex(2, 2), (1 / 3, 2 / 3)]:
            point = Point(preference, strength)
            rewards = numpy.zeros((8, 1, 2)) + gain * strength * numpy.asarray(preference)
            kl = numpy.full((8, 1), strength**2)
            file = place(folder, name, point)
            Scores(rewards, numpy.zeros((8, 1, 0)), kl, kl, kl).save(file)
            file.with_suffix(".json").write_text(json.dumps({**point._asdict(), "texts": []}))


def test_seeds_are_averaged_and_compared(tmp_path: pathlib.Path) -> None:
    for seed, gain in enumerate((1.0, 3.0)):
        write(tmp_path / f"{seed}", "soup", gain)
        write(tmp_path / f"{seed}", "other", gain - 0.5)
    folders = [tmp_path / "0", tmp_path / "1"]
    names = ["soup", "other", "other×2"]
    lines = list(seeds.table(folders, names, "simplex:2", beta=0.1, resamples=50, oracle=None))
    assert "the base not measured, taken as 0" in lines[0]
    rows = [line for line in lines if line.startswith("| soup")]
    # Mean of μ·r over the grid is gain·(1 + ½ + 1)/3.
    assert rows[0].startswith(f"| soup | {2 * 2.5 / 3:.3f} [{2.5 / 3:.2f}, {3 * 2.5 / 3:.2f}] | 1.000")
    lead = next(line for line in lines if line.startswith("| other | +"))
    assert lead.startswith(f"| other | +{0.5 * 2.5 / 3:.3f}")
    assert sum("×2" in line for line in lines) == 1


def test_the_base_is_where_equal_kl_begins(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "soup", 1.0)
    write(tmp_path, "other", 1.0)
    file = place(tmp_path, "base", Point((1.0, 0.0), 0.0))
    file.parent.mkdir()
    nothing = numpy.zeros((8, 1))
    Scores(numpy.full((8, 1, 2), 0.25), numpy.zeros((8, 1, 0)), nothing, nothing, nothing).save(file)
    lines = list(seeds.table([tmp_path], ["soup", "other"], "simplex:2", beta=0.1, resamples=5, oracle=None))
    assert lines[0].endswith("the base (0.25, 0.25).")


def test_a_strength_that_was_not_measured_is_no_method(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "soup", 1.0)
    grid = simplex(2, 2)
    with pytest.raises(LookupError, match="lacks 3 of 3 preferences at strength 7"):
        seeds.methods_of(tmp_path, ["soup×7"], {}, grid)
    with pytest.raises(LookupError, match="no points of soap"):
        list(seeds.table([tmp_path], ["soup", "soap"], "simplex:2", beta=0.1, resamples=5, oracle=None))
