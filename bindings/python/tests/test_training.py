"""Soup projects, and what surrounds the training itself; nothing here needs torch."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest

import bonesoup
from bonesoup import rewards
from bonesoup.cli import main
from bonesoup.rewards import Norm
from bonesoup.train import log, manifest, matrix, norms, prompts, report, warning_signs
from bonesoup.train.project import Project
from bonesoup.train.sampling import Samples
from support import FIXTURES

BASE = FIXTURES / "demo-soup" / "base"


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    assert main(["init", "story", str(tmp_path / "story"), "--base", str(BASE)]) == 0
    return Project.load(tmp_path / "story")


def test_template_is_a_project(project: Project) -> None:
    assert [objective.name for objective in project.objectives] == list(project.backbones)
    assert pathlib.Path(project.base).samefile(BASE)
    assert project.training.samples_per_step == project.training.prompts_per_step * project.training.samples_per_prompt
    parts = [set(project.read_prompts(part).texts) for part in ("train", "validation", "test")]
    assert all(not one & other for number, one in enumerate(parts) for other in parts[:number])
    for reward in project.rewards():
        assert len(reward(["p"], ["The dog ran."])) == 1


@pytest.mark.parametrize("template", ["qa", "assistant", "summary"])
def test_other_templates_are_projects(template: str, tmp_path: pathlib.Path) -> None:
    assert main(["init", template, str(tmp_path / "p"), "--base", "some/model"]) == 0
    made = Project.load(tmp_path / "p")
    assert made.base == "some/model"
    assert len(made.objectives) == 3
    texts = made.read_prompts("train")
    for objective in made.objectives:
        if objective.reward != "classifier":
            reward = rewards.load({"reward": objective.reward, "parameters": objective.parameters})
            assert len(reward(texts.texts, ["An answer."] * len(texts), texts.rows)) == len(texts)


def test_init_writes_over_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "story", str(project.path.parent), "--base", str(BASE)]) == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps: 48", "steps: 0", "training.steps is 0; a whole number of 1"),
        ("steps: 48", "steps: many", "training.steps is 'many'"),
        ("steps: 48", "step: 48", "training.step is not known"),
        ("learning_rate: 3.0e-3", "learning_rate: -1", "training.learning_rate is -1; a number above 0"),
        ("kl: 0.1", "kl: 0", "training.kl is 0; a number above 0"),
        ("name: happy", "name: brief", "objectives names brief twice"),
        ("beta: 0.7", "beta: yes", "matrix is"),
        ("train: prompts/train.txt", "train: none.txt", "prompts.train is .*none.txt, which does not exist"),
        ("clip: 3", "clip: high", r"objectives\[0\].clip is 'high'"),
        ("rank: 8", "rank: 0", "adapter.rank is 0"),
        ("output: soup", "output: soup\nfull: true", "full is true beside an adapter"),
        ('name: "story"', "name: [", "is not YAML"),
    ],
)
def test_what_is_wrong_with_a_project_is_said_by_key(project: Project, old: str, new: str, words: str) -> None:
    text = project.path.read_text()
    assert old in text
    project.path.write_text(text.replace(old, new, 1))
    with pytest.raises(bonesoup.BoneSoupError, match=words) as caught:
        Project.load(project.path)
    assert project.path.name in str(caught.value) or "matrix" in words


def test_project_with_changes(project: Project, tmp_path: pathlib.Path) -> None:
    changed = project.changed(output=tmp_path / "other", seed=7, matrix=[[0.5, 0.25, 0.25]], training={"steps": 3})
    assert (changed.output, changed.training.seed, changed.training.steps) == (tmp_path / "other", 7, 3)
    assert changed.backbones == ("mix-1",)
    assert project.training.seed == 1


def test_bone_rule_is_the_librarys() -> None:
    with bonesoup.Soup.open(FIXTURES / "demo-soup") as soup:
        soup.set_bone_matrix(0.6)
        theirs = soup.matrix
    assert theirs is not None
    for ours, their in zip(matrix.bone(3, 0.6), theirs):
        assert ours == pytest.approx(their)


def test_matrix_of_a_command_line() -> None:
    assert matrix.rows(matrix.parse("bone:0.75"), 2) == ((0.75, 0.25), (0.25, 0.75))
    assert matrix.rows(matrix.parse("identity"), 2) == ((1.0, 0.0), (0.0, 1.0))
    assert matrix.rows(matrix.parse("[[0.5, 0.5]]"), 2) == ((0.5, 0.5),)


@pytest.mark.parametrize("text", ["bone", "bone:x", "bone:nan", "bone:0.5", "[[1]]", "[[.6, .6]]", "[]", "7", "{}"])
def test_matrix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(bonesoup.BoneSoupError):
        matrix.rows(matrix.parse(text), 2)


def test_prompts_of_each_format(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "a.json").write_text('["one", {"prompt": "two", "reference": 2}]')
    (tmp_path / "a.jsonl").write_text('"one"\n{"prompt": "two", "reference": 2}\n')
    for name in ("a.txt", "a.json", "a.jsonl"):
        assert prompts.read(tmp_path / name).texts == ("one", "two")
    assert prompts.read(tmp_path / "a.jsonl").rows == ({}, {"reference": 2})
    for name, text in (("b.json", "{}"), ("c.json", "[1]"), ("d.jsonl", "{"), ("e.txt", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(bonesoup.BoneSoupError, match=re.escape(name)):
            prompts.read(tmp_path / name)


def test_manifest_opens_as_a_soup(project: Project) -> None:
    project.output.mkdir()
    demo = FIXTURES / "demo-soup" / "backbones"
    (project.output / "backbones").mkdir()
    adapters = sorted(path for path in demo.iterdir() if (path / "adapter_config.json").exists())
    for name, adapter in zip(project.backbones, adapters):
        (project.output / "backbones" / name).symlink_to(adapter)
    file = manifest.write(project, [Norm(1.0, 2.0, 3.0)] * 3)
    with bonesoup.Soup.open(file) as soup:
        assert [objective.name for objective in soup.objectives] == [each.name for each in project.objectives]
        assert soup.generate("One day", preference={"brief": 1.0}, max_tokens=4).tokens


def test_norms_are_read_back(project: Project) -> None:
    written = [Norm(1.0, 2.0, 3.0), Norm(-1.0, 0.5, 3.0), Norm(0.0, 1.0, 3.0)]
    assert norms.read(project) is None
    norms.write(project, written)
    assert norms.read(project) == written


def _logs(**changes: float) -> dict[str, float]:
    logs = {
        "completions/mean_length": 50.0,
        "completions/clipped_ratio": 0.5,
        "kl": 0.1,
        "entropy": 2.0,
        "reward": 0.3,
        "learning_rate": 1e-3,
    }
    return {**logs, **changes}


def test_log_goes_on_at_the_step_of_the_checkpoint(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "log.jsonl"
    first = log.RunLog(file, 0)
    for step in (1, 2, 3):
        first.add(step, 10, _logs(), [])
    file.write_text(file.read_text() + '{"step": 4, "sec')  # as a kill leaves it
    again = log.RunLog(file, 2)
    line = again.add(3, 10, _logs(), [])
    assert [each["step"] for each in log.read(file)] == [1, 2, 3]
    assert (line["samples"], line["tokens"]) == (30, 1500)
    assert line["kl"] == pytest.approx(5.0)
    assert line["perplexity"] == pytest.approx(8.166, abs=1e-3)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"mean_length": 10.0}, "shrank from 50 to 10"),
        ({"kl": 40.0}, "KL to the base is 0.80"),
        ({"perplexity": 30.0}, "perplexity under the base rose from 8.0 to 30.0"),
        ({"entropy": 0.3}, "entropy fell"),
    ],
)
def test_signs_of_gamed_rewards_are_said(after: dict[str, float], words: str) -> None:
    calm = {"mean_length": 50.0, "kl": 1.0, "perplexity": 8.0, "entropy": 2.0}
    assert warning_signs.signs([calm] * 10) == []
    assert words in " ".join(warning_signs.signs([calm] * 5 + [{**calm, **after}] * 5))


def _report(project: Project, one: list[str], other: list[str]) -> Any:
    texts = prompts.Prompts(("p",) * len(one), ({},) * len(one))
    first, second = Samples(texts, tuple(one)), Samples(texts, tuple(other))
    return report.make(project, project.norms(first.scores(project.rewards())), first, second)


def test_report_names_objectives_that_compete(project: Project) -> None:
    # Long sentences that describe, and short ones that do not; happy ones of either kind.
    long = ["The big red dog slowly ran to the old green house", "The big wet cat quickly ran to the new happy house"]
    short = ["It ran. It hid.", "Tom was happy. It hid."]
    found = _report(project, long * 20 + short * 20, short * 20 + (long[::-1] + short) * 10)
    text = str(found)
    assert "brief and vivid compete" in text
    assert found.gains[0][0] > 0 > found.correlation[0][2]
    report.write(project, found)
    assert json.loads((project.output / "report.json").read_text())["names"] == ["brief", "happy", "vivid"]


def test_train_says_what_it_lacks(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(project.path), "--only", "nobody"]) == 3
    assert "there are brief, happy, vivid" in capsys.readouterr().err
    assert main(["train", str(project.path), "--matrix", "bone"]) == 2
    assert main(["train", str(project.path), "--add-objective"]) == 3
