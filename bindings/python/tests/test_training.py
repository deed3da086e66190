"""Soup projects, and what surrounds the training itself; nothing here needs torch."""

from __future__ import annotations

import dataclasses
import errno
import json
import pathlib
import re
import shutil
import types
from typing import Any

import pytest

import bonesoup
from bonesoup import rewards
from bonesoup.cli import main
from bonesoup.rewards import Norm
from bonesoup.train import (
    backbone,
    digests,
    log,
    manifest,
    matrix,
    norms,
    plan,
    processes,
    prompts,
    report,
    soup,
    warning_signs,
)
from bonesoup.train.continuing import continue_from
from bonesoup.train.project import Project
from bonesoup.train.sampling import Samples
from bonesoup.train.settings import Adapter, Objective, PromptFiles
from bonesoup.train.soup import prepare
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
    (tmp_path / "f.jsonl").write_bytes('{"prompt": "one\u2028two\x85"}\r\n"three"\r\n'.encode())
    assert prompts.read(tmp_path / "f.jsonl").texts == ("one\u2028two\x85", "three")
    for name, text in (("b.json", "{}"), ("c.json", "[1]"), ("d.jsonl", "{"), ("e.txt", ""), ("f.json", '["a", ""]')):
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


def test_soup_keeps_what_training_does_not_change(project: Project) -> None:
    fixed = [Norm(1.0, 2.0, 3.0)] * 3
    for name in project.backbones:
        (project.output / "backbones" / name).mkdir(parents=True)
    file = manifest.write(project, fixed)
    content = json.loads(file.read_text())
    kept = {"guard": {"max_abs_coefficient": 2.0}, "presets": [{"name": "x", "preference": {"brief": 1.0}}]}
    content.update(kept, front="front.json", calibration="calibration.json", extrapolation=[1.0, 1.0, 1.5])
    content["objectives"][1]["floor"] = -0.5
    content["checksums"] = {"backbones/happy/a": "sha256:0", "base/a": "sha256:1"}
    file.write_text(json.dumps(content))
    manifest.write(project, fixed)
    assert json.loads(file.read_text()) == content
    manifest.write(project, fixed, ["happy"])
    after = json.loads(file.read_text())
    assert {key: after[key] for key in kept} == kept
    assert after["objectives"][1]["floor"] == -0.5
    assert after["checksums"] == {"base/a": "sha256:1"}
    assert not {"front", "calibration", "extrapolation"} & set(after)
    manifest.stretch(file, [1.0, 1.0, 1.0])
    file.write_text(json.dumps({**json.loads(file.read_text()), "front": "front.json"}))
    manifest.stretch(file, [1.0, 1.0, 1.0])
    assert "front" in json.loads(file.read_text())
    manifest.stretch(file, [1.0, 1.25, 1.0])
    assert "front" not in json.loads(file.read_text())
    assert [path.name for path in project.output.iterdir() if path.name.startswith(".")] == []


def _plan(project: Project, row: int = 0, norm: float = 1.0) -> dict[str, Any]:
    return plan.make(project, project.rows[row], [Norm(0.0, norm, each.clip) for each in project.objectives])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda project: _plan(project, 1), "objectives.brief.mix 0.7 in place of 0.15"),
        (lambda project: _plan(project, norm=2.0), "objectives.brief.norm.std 1.0 in place of 2.0"),
        (lambda project: _plan(project.changed(seed=2)), "training.seed 1 in place of 2"),
        (lambda project: _plan(project.changed(training={"max_tokens": 7})), "training.max_tokens .* in place of 7"),
        (lambda project: _plan(dataclasses.replace(project, adapter=Adapter(rank=2))), "adapter.rank 8 in place of 2"),
        (lambda project: _plan(dataclasses.replace(project, base="another")), "base sha256:.* in place of another"),
        (lambda project: _plan(_other_prompts(project)), "prompts sha256:"),
        (lambda project: {**_plan(project), "start": "sha256:0"}, "start None in place of sha256:0"),
    ],
)
def test_plan_that_differs_is_refused(project: Project, change: Any, words: str) -> None:
    file = project.path.parent / "plan.json"
    file.write_text(json.dumps(_plan(project)))
    plan.check(file, _plan(project.changed(training={"batch": 4})))
    with pytest.raises(bonesoup.BoneSoupError, match=words):
        plan.check(file, change(project))


def test_digest_is_of_what_a_model_computes_wherever_it_is(tmp_path: pathlib.Path) -> None:
    one, two = tmp_path / "one", tmp_path / "far" / "two"
    for folder in (one, two):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(bytes(3 << 20))
        (folder / "config.json").write_text(json.dumps({"hidden_size": 8, "_name_or_path": str(folder)}))
    same = digests.of_model(one)
    assert digests.of_model(two) == same
    (two / "README.md").write_text("Words.")
    assert digests.of_model(two) == same
    (two / "config.json").write_text(json.dumps({"hidden_size": 9}))
    assert digests.of_model(two) != same
    with open(one / "model.safetensors", "r+b") as file:
        file.seek(3 << 19)
        file.write(b"1")
    assert digests.of_model(one) != same
    (one / "config.json").write_text("{")
    with pytest.raises(bonesoup.BoneSoupError, match="config.json is not JSON"):
        digests.of_model(one)


def test_digest_of_a_large_file_reads_pieces_all_over_it(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "model.safetensors"
    size = (200 << 20) + 5
    found = set()
    for changed in (None, 0, size // 2, size - 1):
        with open(file, "wb") as stream:
            stream.truncate(size)
            if changed is not None:
                # What training leaves: changes everywhere; here in every fourth MiB of one half, or at an end.
                for place in range(changed, min(size, changed + size // 2), 4 << 20):
                    stream.seek(place)
                    stream.write(b"1")
        found.add(digests.of_file(file))
    assert len(found) == 4


def test_plan_has_the_code_of_rewards_that_are_no_part_of_bonesoup(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.path.parent
    monkeypatch.syspath_prepend(folder)
    code = "def length(prompts, completions):\n    return [float(len(text)) for text in completions]\n"
    (folder / "by_file.py").write_text(code)
    (folder / "by_module.py").write_text(code)
    (folder / "elsewhere.py").write_text("from by_module import length\n")
    names = ("by_file.py:length", "by_module:length", "elsewhere:length", "brief")
    objectives = tuple(Objective(f"o{place}", name) for place, name in enumerate(names))
    changed = dataclasses.replace(project, objectives=objectives, matrix={"rule": "identity"})

    def codes() -> list[str | None]:
        row = [0.25] * 4
        made = plan.make(changed, row, [Norm(0.0, 1.0)] * 4)
        return [entry["code"] for entry in made["objectives"].values()]

    before = codes()
    assert before[0] == before[1] == before[2] and before[3] is None
    (folder / "by_file.py").write_text(code + "\n")
    (folder / "by_module.py").write_text(code + "\n\n")
    after = codes()
    assert len({before[0], *after[:2]}) == 3 and after[1] == after[2]


@pytest.mark.parametrize(("content", "words"), [(b"", "no prompts"), (b"\xff\xfe", "is not UTF-8: .* at byte 0")])
def test_prompts_to_test_on_are_read_before_anything_is_sampled(project: Project, content: bytes, words: str) -> None:
    project.prompts.test.write_bytes(content)  # type: ignore[union-attr]
    with pytest.raises(bonesoup.BoneSoupError, match=f"test.txt.*{words}"):
        prepare(project)


def test_a_full_disk_is_said_and_torn_checkpoints_do_not_count(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for failure in (OSError(errno.ENOSPC, "No space"), RuntimeError("No space left on device (os error 28)")):
        with pytest.raises(bonesoup.BoneSoupError, match="is full; make room"), backbone._disk(tmp_path):
            raise failure
    with pytest.raises(RuntimeError, match="another"), backbone._disk(tmp_path):
        raise RuntimeError("another")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: types.SimpleNamespace(free=0))
    with pytest.raises(bonesoup.BoneSoupError, match="is full; make room"), backbone._disk(tmp_path):
        raise RuntimeError("unexpected pos 28224 vs 28112")
    for number, state in ((1, "{}"), (2, "{"), (3, "")):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-4").mkdir()
    assert [path.name for path in backbone._checkpoints(tmp_path)] == ["checkpoint-1"]


def _other_prompts(project: Project) -> Project:
    file = project.path.parent / "other.txt"
    file.write_text("One night\n")
    return dataclasses.replace(project, prompts=PromptFiles(file))


def test_plan_stands_when_an_objective_that_counts_nothing_comes(project: Project) -> None:
    two = dataclasses.replace(project, objectives=project.objectives[:2], matrix={"rule": "identity"})
    file = project.path.parent / "plan.json"
    file.write_text(json.dumps(_plan(two)))
    plan.check(file, _plan(dataclasses.replace(project, matrix={"rule": "identity"})))


def test_norms_of_a_trained_soup_stay(project: Project, tmp_path: pathlib.Path) -> None:
    fixed = [Norm(1.0, 2.0, 3.0)] * 3
    norms.write(project, fixed)
    other = dataclasses.replace(project, output=tmp_path / "other")
    norms.write(other, [Norm(1.0, 9.0, 3.0)] * 3)
    file = other.output / "rewards.json"
    assert prepare(dataclasses.replace(project, output=tmp_path / "new"), file)[0].std == 9.0
    (project.output / "runs" / "brief" / "checkpoints" / "checkpoint-2").mkdir(parents=True)
    with pytest.raises(bonesoup.BoneSoupError, match="other norms than those of"):
        prepare(project, file)
    assert prepare(project) == norms.read(project) == fixed
    more = dataclasses.replace(project, objectives=(*project.objectives, Objective("varied", "varied")))
    with pytest.raises(bonesoup.BoneSoupError, match="add-objective"):
        prepare(more)


def test_report_of_a_trained_soup_leaves_its_norms(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = prompts.Prompts(("p",) * 3, ({},) * 3)
    one = Samples(texts, ("The big dog ran.", "Tom was happy.", "It hid in the old red box."))
    monkeypatch.setattr(soup, "sample_base", lambda project, *seeds: [one] * len(seeds))
    measured = prepare(project)
    fixed = [Norm(1.0, 2.0, each.clip) for each in project.objectives]
    norms.write(project, fixed)
    assert prepare(project, again=True) == measured == norms.read(project)
    (project.output / "backbones" / "brief").mkdir(parents=True)
    norms.write(project, fixed)
    (project.output / "report.json").unlink()
    assert prepare(project, again=True) == fixed == norms.read(project)
    assert (project.output / "report.json").exists()


def test_finished_run_without_a_plan_counts_by_what_it_says(project: Project) -> None:
    run = project.output / "runs" / "brief"
    for folder in (run, project.output / "backbones" / "brief"):
        folder.mkdir(parents=True)
    wish = project.training
    old = {"mix": list(project.rows[0]), "seed": wish.seed, "steps": wish.steps, "kl_weight": wish.kl}
    (run / "run.json").write_text(json.dumps({**old, "learning_rate": wish.learning_rate}))
    fixed = [Norm(1.0, 2.0, 3.0)] * 3
    one = dataclasses.replace(project, matrix=[list(project.rows[0])], names=("brief",))
    assert soup.train_missing(one, fixed) == []
    with pytest.raises(bonesoup.BoneSoupError, match="another mix, seed or budget"):
        soup.train_missing(one.changed(seed=2), fixed)
    with pytest.raises(bonesoup.BoneSoupError, match="plan.json does not exist"):
        soup.train_missing(one, fixed, starts=[project.path.parent])


def test_going_on_needs_another_folder(project: Project) -> None:
    project.output.mkdir()
    names = [{"name": each.name} for each in project.objectives]
    (project.output / "soup.json").write_text(json.dumps({"objectives": names, "backbones": [], "matrix": []}))
    with pytest.raises(bonesoup.BoneSoupError, match="give another --out"):
        continue_from(project, project.output)


def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, rank, place in ((0, "1", "cpu"), (8, "3", "cuda:3"), (1, "3", "cuda:0")):
        torch = types.SimpleNamespace(cuda=types.SimpleNamespace(device_count=lambda gpus=gpus: gpus))
        monkeypatch.setattr(processes, "need", lambda name, torch=torch: torch)
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert processes.device() == place


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
    assert all(0 < value < 0.5 for row in found.gain_errors for value in row)
    report.write(project, found)
    assert json.loads((project.output / "report.json").read_text())["names"] == ["brief", "happy", "vivid"]


def test_fronts_compare_at_one_kl(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seeking = pytest.importorskip("bonesoup.train.seek")
    numpy = pytest.importorskip("numpy")
    file = FIXTURES / "demo-soup" / "soup.json"
    prompts_there = len(project.read_prompts("validation"))
    calls: list[pathlib.Path] = []

    def measure(place: pathlib.Path, what: Any, wanted: Any) -> list[Any]:
        # Rewards rise with the coefficients, KL with their square; the second soup goes twice as far for as much KL.
        calls.append(place)
        far = 2.0 if place != file else 1.0
        noise = numpy.random.default_rng(1).standard_normal((prompts_there, 3)) / 10
        one = numpy.ones(prompts_there)
        return [seeking.front.Point(far * row + noise, one * 2 * float(row @ row)) for row in wanted]

    monkeypatch.setattr(seeking.front, "measure", measure)
    soups = {0.7: file, 0.8: file.parent}
    best, other = seeking.compare(project, [Norm(0.0, 1.0)] * 3, soups, steps=4, divisions=2)
    assert (best.beta, other.beta) == (0.8, 0.7)
    assert best.kl == pytest.approx(other.kl)
    assert best.hypervolume > other.hypervolume
    assert (best.best, other.best) == (1.0, 0.0)
    assert 0 < best.error < best.hypervolume
    assert len(calls) == 2 * len(seeking.STRETCHES)


def test_curve_is_read_between_its_points() -> None:
    front = pytest.importorskip("bonesoup.train.front")
    # A value that grows with the stretch, whose square KL is.
    curve = [(4.0, 2.0), (0.0, 0.0), (1.0, 1.0)]
    assert front.at_kl(curve, 2.25) == pytest.approx(1.5)
    assert front.at_kl(curve, 0.25) == pytest.approx(0.5)
    with pytest.raises(bonesoup.BoneSoupError, match="KL 5 is beyond what was measured, 4"):
        front.at_kl(curve, 5.0)


def test_cost_of_seeking_is_that_of_its_own_runs(project: Project) -> None:
    seeking = pytest.importorskip("bonesoup.train.seek")
    for name in ("mine", "earlier"):
        run = project.output / "seek" / name / "runs" / "brief"
        run.mkdir(parents=True)
        (run / "run.json").write_text('{"steps": 12, "seconds": 1.0, "cpu_seconds": 2.0}')
    assert seeking._cost(project, [project.output / "seek" / "mine"])["steps"] == 12


def test_train_says_what_it_lacks(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(project.path), "--only", "nobody"]) == 3
    assert "there are brief, happy, vivid" in capsys.readouterr().err
    assert main(["train", str(project.path), "--matrix", "bone"]) == 2
    assert main(["train", str(project.path), "--add-objective"]) == 3
