"""The same blend and tokens give the same bits: in a batch or alone, however split, with any number of threads."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy
import pytest

import bonesoup
from bonesoup.options import BlendKind
from support import MODELS, SOUPS, Floats, last_logits, logits_of, logits_one_by_one, same_bits

TOKENS = [random.Random(7).randrange(120) for _ in range(150)]


def preferences(count: int, objectives: int) -> list[list[float]]:
    generator = numpy.random.default_rng(3)
    return [list(map(float, row)) for row in generator.dirichlet([1.0] * objectives, count)]


@pytest.mark.parametrize("name", ["llama3", "mistral", "qwen2-window", "llama3-bf16", "mistral-f16"])
def test_a_prompt_split_in_any_way_has_the_same_bits(name: str) -> None:
    chance = random.Random(1)
    with bonesoup.Soup.open(MODELS / name) as soup, soup.blend() as blend:
        whole = logits_of(blend, TOKENS)
        assert same_bits(logits_one_by_one(blend, TOKENS), whole)
        for _ in range(6):
            with blend.session() as session:
                done = 0
                while done < len(TOKENS):
                    size = chance.choice([1, 2, 3, 5, 17, 63, 64, 65])
                    session.append(TOKENS[done : done + size])
                    done = min(done + size, len(TOKENS))
                    session.decode()
                    assert same_bits(last_logits(session), whole[done - 1])


def test_rows_limited_per_decode_have_the_same_bits() -> None:
    with bonesoup.Soup.open(MODELS / "llama3") as soup, soup.blend() as blend:
        whole = logits_of(blend, TOKENS)
        with blend.session() as session:
            session.append(TOKENS)
            calls = 0
            while session.info.computed < len(TOKENS):
                session.decode(max_rows=7)
                calls += 1
            assert calls == -(-len(TOKENS) // 7)
            assert same_bits(last_logits(session), whole[-1])


@pytest.mark.parametrize(
    ("name", "kind"), [("llama3-lora", "live"), ("llama3-lora", "folded"), ("llama3-full", "folded")]
)
def test_threads_do_not_change_bits(name: str, kind: BlendKind) -> None:
    results = []
    for threads in (1, 2, 4):
        with bonesoup.Soup.open(SOUPS / name, threads=threads) as soup:
            preference = preferences(1, len(soup.objectives))[0]
            with soup.blend(preference=preference, kind=kind) as blend:
                results.append(logits_of(blend, TOKENS))
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


def alone(blend: bonesoup.Blend, prompt: Sequence[int], steps: int) -> list[Floats]:
    """Return the logits of the prompt's last token and of each greedy one after it."""
    rows = []
    with blend.session() as session:
        session.append(prompt)
        for _ in range(steps):
            session.decode()
            rows.append(last_logits(session))
            session.append([int(numpy.argmax(rows[-1]))])
    return rows


@pytest.mark.parametrize("kind", ["live", "folded"])
def test_16_sessions_with_16_preferences_in_one_batch_have_the_bits_of_each_alone(kind: BlendKind) -> None:
    steps = 6
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        blends = [soup.blend(preference=one, kind=kind) for one in preferences(16, 3)]
        prompts = [TOKENS[index : index + 3 + 9 * index] for index in range(16)]
        expected = [alone(blend, prompt, steps) for blend, prompt in zip(blends, prompts)]
        sessions = [blend.session() for blend in blends]
        for session, prompt in zip(sessions, prompts):
            session.append(prompt)
        for step in range(steps):
            bonesoup.decode(sessions)
            for session, rows in zip(sessions, expected):
                logits = last_logits(session)
                assert same_bits(logits, rows[step])
                session.append([int(numpy.argmax(logits))])
        different = {row[0].tobytes() for row in [alone(blend, TOKENS[:20], 1) for blend in blends]}
        assert len(different) == 16


def test_sessions_of_several_soups_and_kinds_in_one_batch_have_the_bits_of_each_alone() -> None:
    with (
        bonesoup.Soup.open(SOUPS / "llama3-lora") as lora,
        bonesoup.Soup.open(SOUPS / "llama3-full", threads=1) as full,
        bonesoup.Soup.open(SOUPS / "qwen2-lora") as qwen,
        bonesoup.Soup.open(MODELS / "mistral-f16") as plain,
    ):
        blends = [
            lora.blend(preference=[1, 0, 0]),
            lora.blend(preference=[0, 0.5, 0.5], kind="folded"),
            full.blend(preference=[0.1, 0.9]),
            full.blend(preference=[0.9, 0.1]),
            qwen.blend(preference=[0.9, 0.1]),
            plain.blend(),
        ]
        expected = [alone(blend, TOKENS[: 20 + index], 1)[0] for index, blend in enumerate(blends)]
        sessions = [blend.session() for blend in blends]
        for index, session in enumerate(sessions):
            session.append(TOKENS[: 20 + index])
        bonesoup.decode(sessions)
        for session, row in zip(sessions, expected):
            assert same_bits(last_logits(session), row)


def test_prefills_and_decodes_mixed_have_the_bits_of_each_alone() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        blends = [soup.blend(preference=one) for one in preferences(4, 3)]
        expected = [logits_of(blend, TOKENS) for blend in blends]
        sessions = [blend.session() for blend in blends]
        chance = random.Random(5)
        done = [0] * len(sessions)
        while min(done) < len(TOKENS):
            for index, session in enumerate(sessions):
                size = min(chance.choice([0, 1, 1, 1, 30, 70]), len(TOKENS) - done[index])
                session.append(TOKENS[done[index] : done[index] + size])
                done[index] += size
            ready = [session for session, count in zip(sessions, done) if count]
            bonesoup.decode(ready)
            for index, session in enumerate(sessions):
                if done[index]:
                    assert same_bits(last_logits(session), expected[index][done[index] - 1])


@pytest.mark.parametrize("kind", ["live", "folded"])
def test_generation_is_the_same_in_a_batch_streamed_and_alone(kind: BlendKind) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        wishes = preferences(6, 3)
        prompts = ["Once upon a time", "The dog", "a soup of it", "", "good. " * 20, "bone"]
        how = {"max_tokens": 24, "temperature": 0.8, "seed": 5, "ignore_end": True}
        together = soup.generate_many(prompts, wishes, kind=kind, top_logprobs=2, **how)  # type: ignore[arg-type]
        for prompt, wish, batched in zip(prompts, wishes, together):
            single = soup.generate(prompt, preference=wish, kind=kind, top_logprobs=2, **how)  # type: ignore[arg-type]
            assert batched.tokens == single.tokens
            assert batched.text == single.text
            assert batched.logprobs == single.logprobs
            assert batched.top_logprobs == single.top_logprobs
            assert batched.finish_reason == single.finish_reason == "length"
            assert batched.blend == single.blend
            assert batched.fingerprint == single.fingerprint
            assert batched.stats.prompt_tokens == single.stats.prompt_tokens
            pieces = list(soup.stream(prompt, preference=wish, kind=kind, **how))  # type: ignore[arg-type]
            assert "".join(pieces) == single.text
