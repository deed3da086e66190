"""`bonesoup eval`, guard and cost, on the demo soup."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from typing import Any

import pytest

import bonesoup
from support import FIXTURES

numpy = pytest.importorskip("numpy")
pytest.importorskip("moocore", reason="the extra eval is not installed")
pytest.importorskip("yaml", reason="the extra eval is not installed")

from bonesoup.cli import main  # noqa: E402
from bonesoup.eval import Row, Sampling, sample  # noqa: E402
from bonesoup.eval.evaluation import split_of  # noqa: E402
from bonesoup.eval.likelihood import Given, log_probabilities  # noqa: E402
from bonesoup.eval.methods import BestOf, Blended, LogitMix, Point  # noqa: E402
from bonesoup.eval.solving import coefficients, unguarded  # noqa: E402
from bonesoup.eval.sweep import sweep  # noqa: E402
from bonesoup.eval.task import Objective, Task  # noqa: E402
from bonesoup.train.project import Project  # noqa: E402

DEMO = FIXTURES / "demo-soup"
PROMPTS = ("Once upon a time", "One day, a dog", "The cat was", "Tom and Lily")


def words(prompts: Any, texts: Any, rows: Any) -> list[float]:
    return [-float(len(text.split())) for text in texts]


def letters(prompts: Any, texts: Any, rows: Any) -> list[float]:
    return [text.count("e") / max(1, len(text)) for text in texts]


@pytest.fixture(scope="module")
def soup() -> Any:
    with bonesoup.Soup.open(DEMO, weights="f32", threads=1) as opened:
        yield opened


def task(**how: Any) -> Task:
    objectives = (Objective("brief", words, -20, 5), Objective("happy", letters), Objective("vivid", letters))
    sampling = Sampling(max_tokens=12, batch=how.pop("batch", 5))
    return Task(PROMPTS, ({},) * len(PROMPTS), objectives, sampling=sampling, **how)


def test_samples_are_those_of_sessions_whatever_the_batch(soup: bonesoup.Soup) -> None:
    blends = [soup.blend(preference=wish) for wish in ((1, 0, 0), (0, 0.5, 0.5))]
    rows = [Row(blend, soup.tokenize(prompt), 7 + number) for number, prompt in enumerate(PROMPTS) for blend in blends]
    for batch in (1, 3, 64):
        found = dict(sample(iter(rows), Sampling(max_tokens=9, batch=batch)))
        for index, row in enumerate(rows):
            alone = row.blend.generate(row.prompt, max_tokens=9, temperature=1.0, seed=row.seed)
            assert tuple(found[index].tokens) == alone.tokens
            assert tuple(found[index].logprobs) == alone.logprobs


def test_likelihood_of_samples_is_what_they_were_drawn_with(soup: bonesoup.Soup) -> None:
    blend = soup.blend(preference=(0.2, 0.2, 0.6))
    rows = [Row(blend, soup.tokenize(prompt), 3) for prompt in PROMPTS]
    texts = dict(sample(rows, Sampling(max_tokens=10)))
    given = (Given(blend, row.prompt, texts[index].tokens) for index, row in enumerate(rows))
    for index, logprobs in enumerate(log_probabilities(given, soup.info.vocabulary, batch=3)):
        assert numpy.allclose(logprobs, texts[index].logprobs, atol=1e-4)


def test_logit_mix_of_one_backbone_is_that_backbone(soup: bonesoup.Soup) -> None:
    mix = LogitMix("logits", soup)
    greedy = task()
    greedy = Task(**{**vars(greedy), "sampling": Sampling(max_tokens=12, temperature=0.0)})
    # The vertex of a Bone Soup mixes all three: ask for coefficients of one alone.
    one = bonesoup.Soup.open(DEMO, weights="f32", threads=1)
    one.set_matrix([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    one.set_extrapolation([1, 1, 1])
    mix.soup = one
    [(_, texts)] = list(mix.sample([Point((0.0, 0.0, 1.0), 1.0)], greedy))
    for prompt, text in zip(PROMPTS, texts):
        expected = soup.generate(prompt, coefficients=(0.0, 0.0, 1.0), max_tokens=12).tokens
        assert tuple(text.tokens) == expected


def test_coefficients_are_the_library_s_without_guard_rails(project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    preference = (0.5, 0.2, 0.3)
    with bonesoup.Soup.open(DEMO, threads=1) as one:
        for matrix, stretch in (
            (((0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.2, 0.2, 0.6)), (1, 1, 1)),
            (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (1.2, 1, 1.5)),
        ):
            one.set_matrix(matrix)
            one.set_extrapolation(stretch)
            assert coefficients(one, preference) == pytest.approx(one.solve(preference=preference).coefficients)
    shutil.copytree(project / "soup", tmp_path / "soup")
    manifest = tmp_path / "soup" / "soup.json"
    content = json.loads(manifest.read_text())
    content["objectives"][0]["max"] = 0.5
    content["guard"] = {"max_abs_coefficient": 2, "on_violation": "clamp"}
    manifest.write_text(json.dumps(content))
    with bonesoup.Soup.open(project / "soup", threads=1) as free, bonesoup.Soup.open(manifest, threads=1) as guarded:
        expected = free.solve(preference=(1, 0, 0)).coefficients
        assert coefficients(guarded, (1.0, 0.0, 0.0)) == pytest.approx(expected)
        method = Blended("soup", unguarded(guarded))
        method.blend(Point((1.0, 0.0, 0.0), 3.0)).close()


def test_strength_zero_is_the_base_and_kl_grows_with_strength(soup: bonesoup.Soup, tmp_path: pathlib.Path) -> None:
    method = Blended("soup", soup, (0.0, 0.5, 1.0))
    sweep([method], task(samples=4), [(1.0, 0.0, 0.0)], tmp_path)
    from bonesoup.eval.collect import collect

    measured = collect(tmp_path, "soup", 1.0)
    kl = measured.kl.mean(axis=(1, 2))
    assert kl[0] == pytest.approx(0, abs=1e-3)
    assert kl[0] < kl[1] < kl[2]
    assert measured.rewards.shape == (3, 1, len(PROMPTS), 3)


def test_best_of_goes_on_with_the_same_texts(soup: bonesoup.Soup) -> None:
    method, preference = BestOf("best", soup, counts=(1, 2, 8), own=2), (1.0, 0.0, 0.0)
    points = [Point(preference, float(count)) for count in (2, 8)]
    together = dict(method.sample(points, task()))
    assert dict(method.sample(points[:1], task()))[0] == together[0]


def test_logit_mix_draws_a_text_the_same_whatever_the_batch(soup: bonesoup.Soup) -> None:
    points = [Point((0.2, 0.3, 0.5), 1.0)]
    found = [dict(LogitMix("logits", soup).sample(points, task(samples=2, batch=size)))[0] for size in (2, 16)]
    assert [text.tokens for text in found[0]] == [text.tokens for text in found[1]]


def test_best_of_more_is_better(soup: bonesoup.Soup, tmp_path: pathlib.Path) -> None:
    sweep([BestOf("best", soup, counts=(1, 8), own=8)], task(), [(1.0, 0.0, 0.0)], tmp_path)
    from bonesoup.eval.collect import collect

    measured = collect(tmp_path, "best", 8.0)
    one, most = measured.rewards[:, 0, :, 0].mean(axis=-1)
    assert most > one
    assert measured.kl[:, 0, 0].tolist() == pytest.approx([0, numpy.log(8) - 7 / 8])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(DEMO, folder / "soup", ignore=shutil.ignore_patterns("happy-full"))
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    (folder / "soup.yml").write_text(
        f"""
name: demo
base: {DEMO / "base"}
objectives:
  - {{name: brief, reward: "rewards.py:short"}}
  - {{name: happy, reward: "rewards.py:vowels"}}
  - {{name: vivid, reward: "rewards.py:quotes"}}
prompts: {{train: prompts.txt}}
training: {{kl: 0.1, max_tokens: 8}}
"""
    )
    (folder / "rewards.py").write_text(
        """
def short(prompts, completions):
    return [-float(len(text)) for text in completions]

def vowels(prompts, completions):
    return [float(text.count("e")) for text in completions]

def quotes(prompts, completions):
    return [float(text.count('"')) for text in completions]
"""
    )
    return folder


def evaluate(project: pathlib.Path, out: str, *more: str) -> int:
    pytest.importorskip("matplotlib", reason="the extra eval is not installed")
    arguments = [str(project / "soup"), "--project", str(project), "--out", str(project / out), "--threads", "1"]
    return main(["eval", *arguments, "--preferences", "simplex:2", "--resamples", "20", "--near", "1", *more])


def test_eval_guard_and_files(project: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    against = ("uniform", "best-of:2", "prompting", "merge:ties,density=.5", "logits")
    more = [part for method in against for part in ("--against", method)]
    assert evaluate(project, "out", "--strengths", "0.5,1", *more) == 0
    out = project / "out"
    result = json.loads((out / "result.json").read_text())
    assert set(result["methods"]) == {"soup", "uniform", "best-of-n", "prompting", "merge-ties-density=.5", "logits"}
    for name, entry in result["methods"].items():
        for key in ("own", "equal_kl"):
            for values in entry[key].values():
                assert all(numpy.isfinite(value) for value in values.values()), (name, key)
    report = (out / "report.html").read_text()
    assert report.count("<svg") == 5 and "http://www.w3.org" in report and "src=" not in report
    assert len(list((out / "base").glob("*.npz"))) == 1 and len(result["base"]) == 3
    assert len((out / "points.csv").read_text().splitlines()) == 1 + 6 * (2 + 2 + 5 + 1 + 2 + 2)
    front = json.loads((project / "soup" / "front.json").read_text())
    assert len(front["points"]) == 6
    assert front["split"] == result["split"] == "train"
    assert "names no test prompts" in capsys.readouterr().err
    with bonesoup.Soup.open(project / "soup") as soup:
        assert len(soup.objectives) == 3
    capsys.readouterr()

    # What is there is not measured again, and other settings do not go into the same folder.
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.npz")}
    assert evaluate(project, "out", "--strengths", "0.5,1", "--no-report", *more) == 0
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*.npz")}
    assert evaluate(project, "out", "--seed", "2") == 7
    assert "measured otherwise" in capsys.readouterr().err

    assert main(["guard", str(project / "soup"), "--floor", "brief=-90", "--write", "--json"]) == 0
    output, warning = capsys.readouterr()
    assert "front is of train prompts" in warning
    limits = json.loads(output)["limits"]
    assert limits == {"brief": [0, 1], "happy": [0, 1], "vivid": [0, 1]}
    manifest = json.loads((project / "soup" / "soup.json").read_text())
    assert manifest["guard"]["on_violation"] == "clamp" and manifest["objectives"][0]["floor"] == -90
    assert main(["guard", str(project / "soup"), "--floor", "brief=1e9"]) == 8


def test_the_split_is_known_by_its_file(project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plan = Project.load(project)
    (tmp_path / "others.txt").write_text("The sun\n")
    prompts = dataclasses.replace(plan.prompts, validation=tmp_path / "others.txt")
    plan = dataclasses.replace(plan, prompts=prompts)
    names = (None, "test", "validation", str(tmp_path / "others.txt"), str(project / "prompts.txt"), "some/more.txt")
    found = [split_of(plan, name) for name in names]
    assert found == ["train", "train", "validation", "validation", "train", "more.txt"]


def test_a_folder_may_hold_several_grids_and_strengths(project: pathlib.Path) -> None:
    grids = [("simplex:2", "0.5,1"), ("simplex:1", "1"), ("simplex:3", "1,2"), ("simplex:2", "0.5,1")]
    results = []
    for grid, strengths in grids:
        more = ("--preferences", grid, "--strengths", strengths, "--against", "uniform", "--no-report")
        assert evaluate(project, "several", *more) == 0
        results.append(json.loads((project / "several" / "result.json").read_text()))
    counts = [len(result["methods"]["soup"]["points"]) for result in results]
    assert counts == [6 * 2, 3, 10 * 2, 6 * 2]
    assert results[0] == results[3]
    assert all("equal_kl" in result["methods"]["uniform"] for result in results)


def test_points_of_something_else_are_not_taken_for_these(
    project: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("out", "shards", "whole"))
    shutil.copytree(copy / "soup", copy / "other" / "second")
    shutil.copytree(copy / "soup", copy / "another" / "second")
    more = ("--against", f"soup:{copy / 'other' / 'second'}", "--no-report")
    assert evaluate(copy, "out", *more) == 0
    # The same content at another place is the same.
    again = ("--against", f"soup:{copy / 'another' / 'second'}", "--no-report")
    assert evaluate(copy, "out", *again) == 0
    # Another backbone at the same place is not: trained anew.
    brief, happy = (copy / "another" / "second" / "backbones" / name for name in ("brief", "happy"))
    brief.rename(brief.with_name("kept"))
    happy.rename(brief)
    brief.with_name("kept").rename(happy)
    capsys.readouterr()
    assert evaluate(copy, "out", *again) == 7
    assert "method.json: soups" in capsys.readouterr().err
    assert evaluate(copy, "out", *more) == 0
    # Neither are another stretch, other rewards, or points of which nothing is known.
    manifest = copy / "soup" / "soup.json"
    text = manifest.read_text()
    manifest.write_text(json.dumps({**json.loads(text), "extrapolation": [1.1, 1, 1]}))
    assert evaluate(copy, "out", "--no-report") == 7
    manifest.write_text(text)
    assert evaluate(copy, "out", "--no-report", "--also", "plain") == 7
    rewards = (copy / "rewards.py").read_text()
    (copy / "rewards.py").write_text(rewards.replace('"e"', '"a"'))
    capsys.readouterr()
    assert evaluate(copy, "out", "--no-report") == 7
    assert "task.json: rewards" in capsys.readouterr().err
    (copy / "rewards.py").write_text(rewards)
    (copy / "out" / "soup" / "method.json").unlink()
    assert evaluate(copy, "out", "--no-report") == 7
    assert "no method.json" in capsys.readouterr().err


def test_shards_together_are_the_whole(project: pathlib.Path) -> None:
    for shard in ("0/2", "1/2"):
        assert evaluate(project, "shards", "--shard", shard) == 0
    assert evaluate(project, "whole", "--no-report") == evaluate(project, "shards", "--no-report") == 0
    results = [json.loads((project / out / "result.json").read_text()) for out in ("shards", "whole")]
    assert results[0]["methods"] == results[1]["methods"]


def test_merge_methods_have_parameters_and_may_be_of_another_soup(
    project: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = project / "soup"
    more = ("--against", "merge:ties,density=0.01", "--against", f"merge:ties,density=0.01:{other}", "--no-report")
    assert evaluate(project, "merged", "--against", "merge:ties", *more) == 0
    methods = json.loads((project / "merged" / "result.json").read_text())["methods"]
    assert list(methods) == ["soup", "merge-ties", "merge-ties-density=0.01", "merge-ties-density=0.01-soup"]
    thin, whole = methods["merge-ties-density=0.01"], methods["merge-ties"]
    assert thin["own"]["kl"]["value"] < 0.5 * whole["own"]["kl"]["value"]
    assert methods["merge-ties-density=0.01-soup"]["own"] == thin["own"]
    capsys.readouterr()
    for wrong, words in (("ties,density", "not PARAMETER=NUMBER"), ("sce", "for files"), ("tiess", "no merge method")):
        assert evaluate(project, "wrong", "--against", f"merge:{wrong}", "--no-report") != 0
        assert words in capsys.readouterr().err


def test_data_free_methods_take_backbones_of_low_rank(project: pathlib.Path) -> None:
    with bonesoup.Soup.open(project / "soup") as soup:
        for method in ("knots", "iso_c", "tsv"):
            with soup.blend(preference={"brief": 0.5, "happy": 0.5}, kind="folded", method=method) as blend:
                assert blend.generate("One day", max_tokens=4).tokens


def test_a_missing_extra_is_named(
    project: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for command in (["eval", "x", "--project", "x", "--out", "x"], ["guard", "x"], ["cost", "x"]):
        assert main(command) == 2
        assert "pip install 'bonesoup[eval]'" in capsys.readouterr().err


def test_wrong_options_are_named(project: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", str(project / "soup" / "base"), "--project", str(project), "--out", str(project / "none")]
    assert main(arguments) == 3
    assert "no soup to keep the front in" in capsys.readouterr().err
    assert evaluate(project, "wrong", "--against", "magic") == 3
    assert evaluate(project, "wrong", "--shard", "2/2") == 2
    assert evaluate(project, "wrong", "--strengths", "1,x") == 2
    assert evaluate(project, "wrong", "--against", "best-of:x") == 2
    assert evaluate(project, "wrong", "--against", "uniform", "--against", "uniform") == 2
    assert evaluate(project, "wrong", "--against", f"rewarded-soup:{project / 'soup'}") == 7
    assert "not the identity" in capsys.readouterr().err


def test_cost_reads_the_logs(project: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(project / "soup")]) == 3
    for number in range(3):
        folder = project / "soup" / "runs" / f"r{number}"
        folder.mkdir(parents=True)
        run = {"name": folder.name, "seconds": 100, "cpu_seconds": 90, "processes": 2, "bytes": 1000, "mix": [1, 0, 0]}
        (folder / "run.json").write_text(json.dumps(run))
    capsys.readouterr()
    assert main(["cost", str(project / "soup"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cpu_hours"] == pytest.approx(2 * 270 / 3600)
    assert found["ways"]["retraining, 10 preferences"]["device_hours"] == pytest.approx(10 * 200 / 3600)
    assert found["ways"]["soup"]["bytes"] < found["ways"]["separate"]["bytes"]
    assert 0 < found["switching_seconds"]["live"] < found["switching_seconds"]["open"]
