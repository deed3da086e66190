"""Generating: sampling, stops, streaming, statistics, hooks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS, Doubles, last_logits, logits_of

VOCABULARY = 288


@pytest.fixture
def soup() -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as opened:
        yield opened


def test_greedy_takes_the_highest_logit_each_time(soup: bonesoup.Soup) -> None:
    with soup.blend() as blend, blend.session() as session:
        generation = soup.generate("The dog", max_tokens=12, ignore_end=True)
        session.append("The dog")
        for token, logprob in zip(generation.tokens, generation.logprobs, strict=True):
            session.decode()
            logits = last_logits(session).astype(numpy.float64)
            assert token == int(numpy.argmax(logits))
            expected = logits[token] - numpy.log(numpy.exp(logits - logits.max()).sum()) - logits.max()
            assert logprob == pytest.approx(expected, abs=1e-4)
            session.append([token])


def test_the_generation_tells_what_it_took_and_on_which_blend(soup: bonesoup.Soup) -> None:
    preference = {"brief": 0.25, "happy": 0.75}
    generation = soup.generate("The dog and the cat", preference=preference, max_tokens=7, ignore_end=True)
    assert generation.finish_reason == "length"
    assert len(generation.tokens) == len(generation.logprobs) == generation.stats.tokens == 7
    assert generation.stats.prompt_tokens == len(soup.tokenize("The dog and the cat"))
    assert generation.stats.prefilled_tokens == generation.stats.prompt_tokens
    assert generation.stats.prefill_seconds > 0
    assert generation.stats.decode_seconds > 0
    assert generation.blend == soup.blend(preference=preference).info
    assert generation.blend.preference == pytest.approx({"brief": 0.25, "happy": 0.75, "rich": 0.0})
    assert len(generation.fingerprint) == 64
    assert generation.top_logprobs == ((),) * 7
    assert generation.text == soup.detokenize(generation.tokens)


def test_tokens_may_be_the_prompt(soup: bonesoup.Soup) -> None:
    tokens = soup.tokenize("The dog")
    assert soup.generate(tokens, max_tokens=9).tokens == soup.generate("The dog", max_tokens=9).tokens


def test_no_new_tokens_only_computes_the_prompt(soup: bonesoup.Soup) -> None:
    for generation in (
        soup.generate("The dog", max_tokens=0),
        soup.generate_many(["The dog"], max_tokens=0)[0],
    ):
        assert (generation.text, generation.tokens, generation.finish_reason) == ("", (), "length")
    assert list(soup.stream("The dog", max_tokens=0)) == []


def test_streamed_pieces_are_whole_characters_and_make_the_text(soup: bonesoup.Soup) -> None:
    pieces: list[str] = []
    generation = soup.generate(
        "The dog", max_tokens=200, temperature=1.5, seed=11, ignore_end=True, on_text=pieces.append
    )
    assert "".join(pieces) == generation.text
    assert len(pieces) > 5
    stream = soup.stream("The dog", max_tokens=200, temperature=1.5, seed=11, ignore_end=True)
    assert "".join(stream) == generation.text


def test_on_text_may_end_the_text(soup: bonesoup.Soup) -> None:
    pieces: list[str] = []

    def take(piece: str) -> bool:
        pieces.append(piece)
        return len(pieces) < 3

    generation = soup.generate("The dog", max_tokens=100, ignore_end=True, on_text=take)
    assert generation.finish_reason == "callback"
    assert generation.text.startswith("".join(pieces))
    assert len(pieces) == 3


def test_a_stop_string_ends_the_text_before_it(soup: bonesoup.Soup) -> None:
    whole = soup.generate("The dog", max_tokens=40, temperature=1.0, seed=3, ignore_end=True)
    stop = next(
        whole.text[i : i + 4] for i in range(6, 40) if "\ufffd" not in whole.text[i : i + 4] and whole.text[i].isascii()
    )
    pieces: list[str] = []
    generation = soup.generate(
        "The dog",
        max_tokens=40,
        temperature=1.0,
        seed=3,
        ignore_end=True,
        stop=["never there", stop],
        on_text=pieces.append,
    )
    assert generation.text == whole.text[: whole.text.index(stop)] == "".join(pieces)
    assert generation.finish_reason == "stop_string"
    assert whole.tokens[: len(generation.tokens)] == generation.tokens


def test_a_stop_token_ends_the_text(soup: bonesoup.Soup) -> None:
    whole = soup.generate("The dog", max_tokens=30, temperature=1.0, seed=4, ignore_end=True)
    token = whole.tokens[10]
    first = whole.tokens.index(token)
    generation = soup.generate("The dog", max_tokens=30, temperature=1.0, seed=4, ignore_end=True, stop_tokens=[token])
    assert generation.finish_reason == "stop_token"
    assert generation.tokens == whole.tokens[: first + 1]


def test_end_tokens_of_the_model_end_the_text_unless_ignored(soup: bonesoup.Soup) -> None:
    ends = soup.end_tokens
    assert len(ends) == 2
    for end in ends:
        generation = soup.generate("The dog", max_tokens=5, logit_bias={end: 1000.0})
        assert (generation.tokens, generation.text, generation.finish_reason) == ((end,), "", "end")
        generation = soup.generate("The dog", max_tokens=5, logit_bias={end: 1000.0}, ignore_end=True)
        assert (generation.tokens, generation.finish_reason) == ((end,) * 5, "length")


def test_seeds_give_other_texts_and_the_same_seed_the_same(soup: bonesoup.Soup) -> None:
    texts = {
        seed: soup.generate("The dog", max_tokens=20, temperature=1.0, seed=seed, ignore_end=True).tokens
        for seed in (0, 1, 2, 2**64 - 1)
    }
    assert len(set(texts.values())) == 4
    for seed, tokens in texts.items():
        assert soup.generate("The dog", max_tokens=20, temperature=1.0, seed=seed, ignore_end=True).tokens == tokens


def sampled(soup: bonesoup.Soup, count: int = 300, **how: object) -> list[int]:
    """Return the first token after the prompt for many seeds."""
    tokens = []
    with soup.session() as session:
        session.append("The dog and")
        for seed in range(count):
            session.begin(seed=seed, ignore_end=True, **how)  # type: ignore[arg-type]
            session.decode()
            tokens.append(session.next().token)
            session.rewind(len(session.tokens) - 1)
    return tokens


def probabilities(soup: bonesoup.Soup, temperature: float = 1.0) -> Doubles:
    with soup.blend() as blend:
        logits = logits_of(blend, soup.tokenize("The dog and"))[-1].astype(numpy.float64) / temperature
    weights = numpy.exp(logits - logits.max())
    result: Doubles = weights / weights.sum()
    return result


def test_samples_follow_the_probabilities(soup: bonesoup.Soup) -> None:
    expected = probabilities(soup, 0.5)
    counts = numpy.bincount(sampled(soup, 1000, temperature=0.5), minlength=VOCABULARY) / 1000
    for token in numpy.argsort(-expected)[:3]:
        deviation = math.sqrt(expected[token] * (1 - expected[token]) / 1000)
        assert abs(counts[token] - expected[token]) < 5 * deviation + 1e-9


def test_top_k_top_p_and_min_p_cut_the_tail(soup: bonesoup.Soup) -> None:
    expected = probabilities(soup)
    order = numpy.argsort(-expected)
    assert set(sampled(soup, temperature=1.0, top_k=3)) <= set(order[:3].tolist())
    nucleus = int(numpy.searchsorted(numpy.cumsum(expected[order]), 0.5)) + 1
    assert set(sampled(soup, temperature=1.0, top_p=0.5)) <= set(order[:nucleus].tolist())
    likely = set(numpy.flatnonzero(expected >= 0.3 * expected.max()).tolist())
    assert set(sampled(soup, temperature=1.0, min_p=0.3)) <= likely


def test_logit_bias_and_the_order_of_equals(soup: bonesoup.Soup) -> None:
    bias = {token: -math.inf for token in range(VOCABULARY) if token not in (17, 40)}
    generation = soup.generate("The dog", max_tokens=10, logit_bias=bias)
    assert set(generation.tokens) <= {17, 40}

    def level(logits: memoryview[float], tokens: memoryview[int]) -> None:
        for token in range(len(logits)):
            logits[token] = 1.0

    assert soup.generate("The dog", max_tokens=3, hook=level).tokens == (0, 0, 0)


def test_penalties_keep_from_repeating(soup: bonesoup.Soup) -> None:
    how = {"max_tokens": 40, "ignore_end": True}
    plain = soup.generate("The dog", **how)  # type: ignore[arg-type]
    for penalty in ({"repetition_penalty": 1000.0}, {"presence_penalty": 1000.0}, {"frequency_penalty": 1000.0}):
        generation = soup.generate("The dog", **how, **penalty)  # type: ignore[arg-type]
        seen = [*soup.tokenize("The dog"), *generation.tokens]
        assert len(set(seen)) == len(seen), penalty
        none = soup.generate("The dog", penalty_window=0, **how, **penalty)  # type: ignore[arg-type]
        assert none.tokens == plain.tokens


def test_top_logprobs_are_the_highest_and_hold_the_greedy_token(soup: bonesoup.Soup) -> None:
    expected = numpy.log(probabilities(soup))
    generation = soup.generate("The dog and", max_tokens=2, top_logprobs=5, ignore_end=True)
    assert [len(top) for top in generation.top_logprobs] == [5, 5]
    first = generation.top_logprobs[0]
    assert [top.token for top in first] == numpy.argsort(-expected, kind="stable")[:5].tolist()
    assert [top.logprob for top in first] == pytest.approx([expected[top.token] for top in first], abs=1e-4)
    assert first[0] == (generation.tokens[0], generation.logprobs[0])


def test_a_hook_sees_the_logits_and_all_tokens_and_may_change_them(soup: bonesoup.Soup) -> None:
    seen: list[list[int]] = []

    def hook(logits: memoryview[float], tokens: memoryview[int]) -> None:
        seen.append(tokens.tolist())
        values = numpy.asarray(logits)
        if len(seen) == 1:
            assert values.tolist() == expected
        values[:] = -math.inf
        values[len(seen)] = 0.0

    with soup.blend() as blend:
        expected = logits_of(blend, soup.tokenize("The dog"))[-1].tolist()
        generation = blend.generate("The dog", max_tokens=4, hook=hook)
    assert generation.tokens == (1, 2, 3, 4)
    prompt = soup.tokenize("The dog")
    assert seen == [prompt + [1, 2, 3][:count] for count in range(4)]
    assert generation.logprobs != (0.0,) * 4  # the model's own, before the hook


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_hook_that_leaves_nonsense_is_refused(soup: bonesoup.Soup, value: float) -> None:
    def hook(logits: memoryview[float], tokens: memoryview[int]) -> None:
        logits[3] = value

    with pytest.raises(bonesoup.InvalidArgumentError):
        soup.generate("The dog", max_tokens=4, hook=hook)


def test_a_begun_generation_steps_like_a_whole_one(soup: bonesoup.Soup) -> None:
    how = {"max_tokens": 15, "temperature": 0.9, "seed": 8, "top_logprobs": 1, "ignore_end": True}
    whole = soup.generate("The dog", **how)  # type: ignore[arg-type]
    with soup.session() as session:
        session.append("The dog")
        session.begin(**how)  # type: ignore[arg-type]
        steps: list[bonesoup.Step] = []
        while not steps or steps[-1].finish_reason is None:
            session.decode()
            steps.append(session.next())
        assert tuple(step.token for step in steps) == whole.tokens
        assert "".join(step.text for step in steps) == whole.text
        assert tuple(step.logprob for step in steps) == whole.logprobs
        assert tuple(step.top_logprobs for step in steps) == whole.top_logprobs
        assert steps[-1].finish_reason == "length"
        with pytest.raises(bonesoup.InvalidArgumentError):
            session.next()


def test_next_needs_a_decode(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        session.append("The dog")
        with pytest.raises(bonesoup.NotReadyError):
            session.next()
        session.decode()
        assert session.next().finish_reason is None
        with pytest.raises(bonesoup.NotReadyError):
            session.next()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"top_p": 1.5},
        {"top_p": math.nan},
        {"min_p": -0.1},
        {"repetition_penalty": 0.0},
        {"presence_penalty": math.inf},
        {"top_logprobs": 101},
        {"penalty_window": -2},
        {"logit_bias": {100000: 1.0}},
        {"logit_bias": {1: math.nan}},
        {"stop": ""},
        {"stop": "x" * 257},
        {"stop": ["x"] * 17},
        {"stop_tokens": [-5]},
        {"top_k": -1},
        {"max_tokens": -1},
        {"max_tokens": 2**32},
        {"seed": -1},
        {"seed": 2**64},
        {"kv_format": "f8"},
        {"kind": "frozen"},
    ],
)
def test_options_out_of_their_range_are_refused(soup: bonesoup.Soup, wrong: dict[str, object]) -> None:
    with pytest.raises(bonesoup.InvalidArgumentError):
        soup.generate("The dog", **{"max_tokens": 2, **wrong})  # type: ignore[arg-type]


def test_unknown_keywords_are_type_errors(soup: bonesoup.Soup) -> None:
    for call in (soup.generate, soup.stream, soup.blend().generate):
        with pytest.raises(TypeError, match="temprature"):
            call("The dog", temprature=1.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="prefrence"):
        soup.blend(prefrence=[1, 0, 0])  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        soup.stream("The dog", on_text=print)


def test_many_prompts_and_preferences_must_be_equally_many(soup: bonesoup.Soup) -> None:
    assert soup.generate_many([]) == []
    with pytest.raises(bonesoup.InvalidArgumentError):
        soup.generate_many(["a", "b"], [[1, 0, 0]])


def test_a_model_without_a_tokenizer_takes_tokens_only() -> None:
    with bonesoup.Soup.open(MODELS / "llama2") as soup:
        assert not soup.info.has_tokenizer
        generation = soup.generate([1, 2, 3], max_tokens=4, ignore_end=True)
        assert len(generation.tokens) == 4
        assert generation.text == ""
        for call in (soup.tokenize, soup.generate):
            with pytest.raises(bonesoup.MismatchError):
                call("text")


def test_a_recent_blend_is_kept_and_dropped_when_the_soup_changes(soup: bonesoup.Soup) -> None:
    soup.generate("a", preference={"brief": 1.0}, max_tokens=1)
    first = soup._recent
    soup.generate("b", preference={"brief": 1.0}, max_tokens=1)
    assert soup._recent is first
    soup.generate("b", preference=[1.0, 0.0, 0.0], max_tokens=1)
    assert soup._recent is not first
    soup.set_bone_matrix(0.8)
    assert soup._recent is None
    assert soup.generate("b", preference={"brief": 1.0}, max_tokens=1).blend.coefficients != first[1].coefficients  # type: ignore[index]
