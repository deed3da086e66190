"""Rewards: what they count, how they are found, and what is refused."""

from __future__ import annotations

import http.server
import json
import pathlib
import sys
import threading
from collections.abc import Iterator

import pytest

import bonesoup
from bonesoup import rewards


def score(name: str, text: str, **parameters: object) -> float:
    return rewards.load({"reward": name, "parameters": parameters})(["A prompt"], [text])[0]


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("brief", "The dog ran. It hid.", "The dog ran and then it hid under the bed."),
        ("happy", "They laughed and played.", "They cried and fell."),
        ("vivid", "A big red ball rolled slowly.", "A ball rolled."),
        ("talkative", '"Come here," said Tom. "Now!"', "Tom told the dog to come."),
        ("varied", "One two three four.", "One one one one."),
        ("short", "Two words.", "Four words are more."),
        ("plain", "The cat sat on a mat.", "Institutional considerations necessitate organisation."),
    ],
)
def test_reward_ranks_texts(name: str, better: str, worse: str) -> None:
    assert score(name, better) > score(name, worse)


def test_reward_file_is_a_module(tmp_path: pathlib.Path) -> None:
    (tmp_path / "json.py").write_text(
        "from __future__ import annotations\nimport dataclasses\n\n\n@dataclasses.dataclass\nclass Word:\n"
        "    text: str\n\n\ndef count(prompts, completions):\n"
        "    return [float(len(Word(text).text)) for text in completions]\n"
    )
    assert rewards.load({"reward": "json.py:count"}, tmp_path)(["p"], ["four"]) == [4.0]
    assert sys.modules["json"] is json


@pytest.mark.parametrize("name", ["brief", "happy", "vivid", "talkative", "varied", "short", "plain"])
@pytest.mark.parametrize("text", ["", " \n", "…", '"', "123 456", "é"])
def test_reward_of_odd_text_is_a_number(name: str, text: str) -> None:
    assert abs(score(name, text)) < 1e3


def test_writing_nothing_is_not_brief() -> None:
    assert score("brief", "") < score("brief", "One long sentence of many many words that goes on and on and on.")


def test_parameters_reach_the_reward() -> None:
    assert score("contains", "a dog, a cat, a dog", pattern="dog") == 2
    for wrong in ({"pattern": "a", "colour": "red"}, {}):
        with pytest.raises(bonesoup.BoneSoupError, match=r"reward contains: .*(colour|pattern)"):
            rewards.load({"reward": "contains", "parameters": wrong})


def test_answers_are_compared_with_what_stands_beside_the_prompt() -> None:
    row = {
        "question": "Who wrote Hamlet?",
        "passages": ["William Shakespeare wrote Hamlet in London."],
        "reference": "William Shakespeare wrote it.",
    }
    good, bad = "William Shakespeare wrote Hamlet.", "Bananas grow on trees."
    for name in ("relevance", "factual", "complete"):
        found = rewards.load({"reward": name})(["p", "p"], [good, bad], [row, row])
        assert found[0] > found[1], name


def test_reward_from_a_file_beside_the_project(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text("def vowels(prompts, completions, *, of='a'):\n"
                                      "    return [text.count(of) for text in completions]\n")  # fmt: skip
    found = rewards.load({"reward": "mine.py:vowels", "parameters": {"of": "o"}}, tmp_path)
    assert found(["p"], ["foo"]) == [2.0]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"reward": "no-such-reward"}, "brief"),
        ({"reward": "no.such.module:f"}, "no.such.module"),
        ({"reward": "math:no_such_function"}, "no_such_function"),
        ({"reward": "missing.py:f"}, "missing.py"),
        ({}, "name"),
        ({"reward": 3}, "name"),
    ],
)
def test_unknown_reward_is_refused_by_name(spec: dict[str, object], words: str) -> None:
    with pytest.raises(bonesoup.BoneSoupError, match=words):
        rewards.load(spec)


@pytest.mark.parametrize("answer", ["[1.0]", "[float('nan'), 0.0]", "[float('inf'), 0.0]"])
def test_answers_that_are_not_one_finite_number_each_are_refused(tmp_path: pathlib.Path, answer: str) -> None:
    (tmp_path / "bad.py").write_text(f"def f(prompts, completions):\n    return {answer}\n")
    with pytest.raises(bonesoup.BoneSoupError, match="bad.py:f gave"):
        rewards.load({"reward": "bad.py:f"}, tmp_path)(["p", "p"], ["a", "b"])


@pytest.mark.parametrize("answer", ["None", "1.0", "['a', 'b']", "[None, None]"])
def test_answers_that_are_no_list_of_numbers_are_refused(tmp_path: pathlib.Path, answer: str) -> None:
    (tmp_path / "bad.py").write_text(f"def f(prompts, completions):\n    return {answer}\n")
    with pytest.raises(bonesoup.BoneSoupError, match="bad.py:f must give a list of numbers"):
        rewards.load({"reward": "bad.py:f"}, tmp_path)(["p", "p"], ["a", "b"])


def test_a_reward_file_that_is_not_python_is_refused_by_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.py").write_text("\ndef (\n")
    with pytest.raises(bonesoup.BoneSoupError, match=r"bad.py, line 2: "):
        rewards.load({"reward": "bad.py:f"}, tmp_path)


def test_norm_and_mix_are_linear_within_the_bound() -> None:
    norm = rewards.Norm.of("r", [1.0, 3.0], clip=2.0)
    assert (norm.mean, norm.std) == (2.0, 1.0)
    assert norm([2.0, 3.0, 100.0, -100.0]) == [0.0, 1.0, 2.0, -2.0]
    assert rewards.mix([0.25, 0.75], [[4.0, 0.0], [0.0, 4.0]]) == [1.0, 3.0]


def test_reward_that_never_varies_is_refused() -> None:
    with pytest.raises(bonesoup.BoneSoupError, match="nothing to learn"):
        rewards.Norm.of("dull", [1.0, 1.0])


class _Server(http.server.BaseHTTPRequestHandler):
    failures = 0
    answer: object = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        content = self.answer or {"scores": [len(text) for text in body["completions"]]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    _Server.failures, _Server.answer = 0, None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_endpoint_scores_in_batches(url: str) -> None:
    reward = rewards.load({"reward": "endpoint", "parameters": {"url": url, "batch": 2}})
    assert reward(["p"] * 3, ["a", "bb", "ccc"], [{}] * 3) == [1.0, 2.0, 3.0]


def test_endpoint_is_asked_again_after_a_failure_that_passes(url: str) -> None:
    _Server.failures = 1
    assert rewards.Endpoint(url)(["p"], ["four"]) == [4.0]


@pytest.mark.parametrize("answer", [{"scores": [1, 2]}, {"scores": ["x"]}, {"other": []}, "text", [True]])
def test_endpoint_with_wrong_answers_is_refused(url: str, answer: object) -> None:
    _Server.answer = answer
    with pytest.raises(bonesoup.BoneSoupError, match="answer"):
        rewards.Endpoint(url)(["p"], ["a"])


def test_endpoint_that_is_not_there_says_its_address() -> None:
    with pytest.raises(bonesoup.BoneSoupError, match=r"127\.0\.0\.1:9"):
        rewards.Endpoint("http://127.0.0.1:9/", attempts=1)(["p"], ["a"])
    with pytest.raises(bonesoup.BoneSoupError, match="neither http"):
        rewards.Endpoint("file:///etc/passwd")
