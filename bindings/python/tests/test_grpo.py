"""Training itself, with TRL, on the demo soup's base: what is written, that it resumes, that rewards rise."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import pytest

import bonesoup
from bonesoup.rewards import Norm
from bonesoup.train import backbone, log
from bonesoup.train.adding import add_objective
from bonesoup.train.backbone import config
from bonesoup.train.continuing import continue_from
from bonesoup.train.project import Project
from bonesoup.train.settings import Training
from bonesoup.train.soup import train
from bonesoup.train.templates import create
from support import FIXTURES

NORMS = {"brief": Norm(-8.9, 2.1, 3.0), "happy": Norm(4.3, 4.0, 3.0), "vivid": Norm(0.33, 0.28, 3.0)}


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    create("story", tmp_path / "story", str(FIXTURES / "demo-soup" / "base"))
    small = {"steps": 4, "prompts_per_step": 2, "samples_per_prompt": 4, "max_tokens": 24}
    made = Project.load(tmp_path / "story").changed(training=small)
    made.output.mkdir()
    _write_norms(made, list(NORMS))
    return made


def _write_norms(project: Project, names: list[str]) -> None:
    content = {name: NORMS[name].as_json() for name in names}
    (project.output / "rewards.json").write_text(json.dumps(content))


def _weights(project: Project, name: str) -> bytes:
    return (project.output / "backbones" / name / "adapter_model.safetensors").read_bytes()


def test_soup_is_written_and_not_trained_twice(project: Project) -> None:
    file = train(project)
    run = json.loads((project.output / "runs" / "happy" / "run.json").read_text())
    assert run["mix"] == pytest.approx([0.15, 0.7, 0.15])
    assert (run["steps"], run["samples"], run["seed"]) == (4, 32, 1)
    assert run["cpu_seconds"] > 0 and run["bytes"] > 0
    assert (project.output / "runs" / "happy" / "curves.png").stat().st_size > 10_000
    lines = log.read(project.output / "runs" / "happy" / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert set(lines[0]["rewards"]) == set(NORMS)
    for line in lines:
        for name, both in line["rewards"].items():
            assert abs(both["normalised"]) <= 3
            assert both["normalised"] == pytest.approx((both["raw"] - NORMS[name].mean) / NORMS[name].std, abs=1.0)
    assert sorted(path.name for path in (project.output / "backbones" / "happy").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    with bonesoup.Soup.open(file) as soup:
        texts = {
            soup.generate("One day", preference={name: 1.0}, temperature=1.0, seed=1, max_tokens=30).text
            for name in NORMS
        }
        assert len(texts) > 1
    before = _weights(project, "happy")
    train(project)
    assert _weights(project, "happy") == before
    with pytest.raises(bonesoup.BoneSoupError, match="plan.json is another plan: training.seed 1 in place of 2"):
        train(project.changed(seed=2))


def test_few_prompts_fill_a_step(project: Project) -> None:
    file = project.path.parent / "one.txt"
    file.write_text("One day\n")
    one = dataclasses.replace(project, prompts=dataclasses.replace(project.prompts, train=file))
    train(one.changed(training={"steps": 2}), only=["brief"])
    assert json.loads((one.output / "runs" / "brief" / "run.json").read_text())["samples"] == 16


def test_killed_run_goes_on_where_it_was(project: Project, tmp_path: pathlib.Path) -> None:
    train(project, only=["brief"])
    # The same, but the reward breaks off in step 3.
    (project.path.parent / "broken.py").write_text(
        "import pathlib\nfrom bonesoup import rewards\ncalls = 0\n\n\n"
        "def brief(prompts, completions):\n    global calls\n    calls += 1\n"
        "    if calls == 3 and not pathlib.Path(__file__).with_name('done').exists():\n"
        "        raise KeyboardInterrupt\n"
        "    return rewards.load({'reward': 'brief'})(prompts, completions)\n"
    )
    first, *others = project.objectives
    broken = dataclasses.replace(
        project,
        output=tmp_path / "broken",
        objectives=(dataclasses.replace(first, reward="broken.py:brief"), *others),
    )
    norms = project.output / "rewards.json"
    with pytest.raises(KeyboardInterrupt):
        train(broken, only=["brief"], norms=norms)
    assert not (broken.output / "soup.json").exists()
    assert (broken.output / "runs" / "brief" / "checkpoints").exists()
    (project.path.parent / "done").touch()
    with pytest.raises(bonesoup.BoneSoupError, match="objectives.brief.mix 0.7 in place of 1.0"):
        train(broken.changed(matrix={"rule": "identity"}), only=["brief"], norms=norms)
    train(broken, only=["brief"], norms=norms)
    assert _weights(broken, "brief") == _weights(project, "brief")
    lines = log.read(broken.output / "runs" / "brief" / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]


def test_run_killed_after_its_last_step_is_finished(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backbone, "_tidy", killed)
        with pytest.raises(KeyboardInterrupt):
            train(project, only=["brief"])
    assert not (project.output / "backbones" / "brief").exists()
    checkpoints = project.output / "runs" / "brief" / "checkpoints"
    assert [path.name for path in checkpoints.glob("checkpoint-*")] == ["checkpoint-3"]
    train(project, only=["brief"])
    run = json.loads((project.output / "runs" / "brief" / "run.json").read_text())
    assert (run["steps"], run["samples"]) == (4, 32)


def test_reward_rises(project: Project) -> None:
    longer = project.changed(training={"steps": 12, "prompts_per_step": 6, "samples_per_prompt": 8})
    train(longer, only=["brief"])
    lines = log.read(longer.output / "runs" / "brief" / "log.jsonl")
    rewards = [line["rewards"]["brief"]["normalised"] for line in lines]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.5
    assert lines[-1]["kl"] > 0


def test_objective_is_added_without_training_the_others_again(project: Project) -> None:
    two = dataclasses.replace(project, objectives=project.objectives[:2])
    train(two)
    before = _weights(project, "brief")
    _write_norms(project, list(NORMS))
    file = add_objective(project)
    assert _weights(project, "brief") == before
    matrix = json.loads(file.read_text())["matrix"]
    assert matrix[0] == pytest.approx([0.7, 0.3, 0.0])
    assert matrix[2] == pytest.approx([0.15, 0.15, 0.7])
    with bonesoup.Soup.open(file) as soup:
        solved = soup.solve(preference={"brief": 0.2, "happy": 0.3, "vivid": 0.5}).coefficients
    mix = [sum(share * row[j] for share, row in zip(solved, matrix)) for j in range(3)]
    assert mix == pytest.approx([0.2, 0.3, 0.5])


@pytest.mark.parametrize("full", [False, True])
def test_backbones_go_on_from_those_of_another_soup(project: Project, tmp_path: pathlib.Path, full: bool) -> None:
    gentle = {"learning_rate": 1e-4}
    old = dataclasses.replace(project.changed(training=gentle), adapter=None if full else project.adapter)
    train(old)
    new = dataclasses.replace(old, output=tmp_path / "new")
    continue_from(new, old.output)
    with bonesoup.Soup.open(new.output / "soup.json") as soup:
        assert soup.generate("One day", preference={"brief": 1.0}, max_tokens=4).tokens
    names = {path.name for path in (new.output / "backbones" / "brief").iterdir()}
    assert ("model.safetensors" if full else "adapter_model.safetensors") in names
    shutil.rmtree(new.output)


def test_settings_keep_the_mix_linear(tmp_path: pathlib.Path) -> None:
    made = config(Training(), [0.6, 0.4], tmp_path)
    assert made["scale_rewards"] == "none"
    assert made["loss_type"] == "dr_grpo"
    assert made["multi_objective_aggregation"] == "sum_then_normalize"
    assert made["beta"] > 0
    assert made["reward_weights"] == [0.6, 0.4]
    with pytest.raises(bonesoup.BoneSoupError, match="batches of 5"):
        config(Training(batch=5), [1.0], tmp_path)
