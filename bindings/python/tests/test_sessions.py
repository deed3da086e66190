"""Sessions: appending, rewinding, forking, changes of blend, views of logits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Literal

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS, last_logits, logits_of, same_bits

TOKENS = [(7 * index + index // 3) % 120 for index in range(140)]


@pytest.fixture
def soup() -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as opened:
        yield opened


def test_tokens_and_counts(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        assert session.tokens == []
        assert session.append([1, 2, 3]) == 3
        assert session.append("a soup") == len(soup.tokenize("a soup", special=False))
        expected = [1, 2, 3, *soup.tokenize("a soup", special=False)]
        assert session.tokens == expected
        assert (session.info.tokens, session.info.computed) == (len(expected), 0)
        session.decode()
        assert session.info.computed == len(expected)
        assert session.info.memory > 0


def test_only_an_empty_session_gets_bos(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        session.append("bone")
        session.append("bone")
        assert session.tokens == soup.tokenize("bone") + soup.tokenize("bone", special=False)
        session.rewind(0)
        session.append("bone", special=False)
        assert session.tokens == soup.tokenize("bone", special=False)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 100, 139])
def test_after_a_rewind_it_is_as_if_the_rest_had_never_been(soup: bonesoup.Soup, count: int) -> None:
    other = [token + 1 for token in TOKENS[:40]]
    with soup.blend(preference=[1, 0, 0]) as blend, blend.session() as session:
        session.append(TOKENS)
        session.decode()
        session.rewind(count)
        assert session.tokens == TOKENS[:count]
        if count:
            session.decode()
            assert same_bits(last_logits(session), logits_of(blend, TOKENS[:count])[-1])
        session.append(other)
        session.decode()
        assert same_bits(last_logits(session), logits_of(blend, TOKENS[:count] + other)[-1])


def test_a_rewind_past_the_end_is_refused(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        session.append(TOKENS[:5])
        with pytest.raises(bonesoup.InvalidArgumentError):
            session.rewind(6)
        with pytest.raises(ValueError):
            session.rewind(-1)
        assert session.tokens == TOKENS[:5]


@pytest.mark.parametrize("count", [1, 64, 100])
def test_a_fork_goes_its_own_way(soup: bonesoup.Soup, count: int) -> None:
    with soup.blend(preference=[0, 1, 0]) as blend, blend.session() as session:
        session.append(TOKENS[:count])
        session.decode()
        logits = last_logits(session)
        with session.fork() as fork:
            assert same_bits(last_logits(fork), logits)
            fork.append([5, 6])
            session.append([9])
            bonesoup.decode([fork, session])
            assert same_bits(last_logits(fork), logits_of(blend, [*TOKENS[:count], 5, 6])[-1])
            assert same_bits(last_logits(session), logits_of(blend, [*TOKENS[:count], 9])[-1])
        session.append([10])
        session.decode()
        assert same_bits(last_logits(session), logits_of(blend, [*TOKENS[:count], 9, 10])[-1])


def test_a_fork_outlives_its_session(soup: bonesoup.Soup) -> None:
    with soup.blend() as blend:
        session = blend.session()
        session.append(TOKENS)
        session.decode()
        fork = session.fork()
        session.close()
        blend.close()
        fork.append([3])
        fork.decode()
        with soup.blend() as again:
            assert same_bits(last_logits(fork), logits_of(again, [*TOKENS, 3])[-1])
        fork.close()


def test_recompute_gives_the_bits_and_the_fingerprint_of_a_fresh_session(soup: bonesoup.Soup) -> None:
    one, other = soup.blend(preference=[1, 0, 0]), soup.blend(preference=[0, 0, 1])
    with one.session() as session, other.session() as fresh:
        session.append(TOKENS)
        session.decode()
        session.set_blend(other)
        session.append([4])
        session.decode()
        fresh.append([*TOKENS, 4])
        fresh.decode()
        assert same_bits(last_logits(session), last_logits(fresh))
        assert session.info.fingerprint == fresh.info.fingerprint


def test_continue_keeps_the_old_keys_and_values_and_its_fingerprint_tells(soup: bonesoup.Soup) -> None:
    one, other = soup.blend(preference=[1, 0, 0]), soup.blend(preference=[0, 0, 1])
    with one.session() as session, other.session() as fresh, one.session() as old:
        for each in (session, fresh, old):
            each.append(TOKENS)
            each.decode()
        before = last_logits(session)
        session.set_blend(other, "continue")
        assert same_bits(last_logits(session), before)
        fingerprints = {each.info.fingerprint for each in (session, fresh, old)}
        assert len(fingerprints) == 3
        for each in (session, fresh, old):
            each.append([4])
            each.decode()
        assert len({last_logits(each).tobytes() for each in (session, fresh, old)}) == 3
        assert {each.info.fingerprint for each in (session, fresh, old)} == fingerprints
        session.rewind(0)  # a rewind to the start makes it pure
        session.append([*TOKENS, 4])
        session.decode()
        assert same_bits(last_logits(session), last_logits(fresh))
        assert session.info.fingerprint == fresh.info.fingerprint


def test_continue_takes_microseconds(soup: bonesoup.Soup) -> None:
    with soup.blend(preference=[1, 0, 0]) as one, soup.blend(preference=[0, 0, 1]) as other, one.session() as session:
        session.append(TOKENS)
        session.decode()
        times = []
        for index in range(200):
            blend = (other, one)[index % 2]
            start = time.perf_counter()
            session.set_blend(blend, "continue")
            times.append(time.perf_counter() - start)
        assert sorted(times)[len(times) // 2] < 100e-6  # Python's share included; the call itself is measured in C


def test_a_blend_of_another_soup_is_refused(soup: bonesoup.Soup) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as another, another.blend() as blend, soup.session() as session:
        pytest.raises(bonesoup.MismatchError, session.set_blend, blend)


def test_a_full_context_is_a_clear_error(soup: bonesoup.Soup) -> None:
    with soup.session(context=10) as session:
        session.append(TOKENS[:8])
        with pytest.raises(bonesoup.ContextFullError):
            session.append(TOKENS[:3])
        assert session.tokens == TOKENS[:8]
        generation = session.generate(max_tokens=10, ignore_end=True)
        assert generation.finish_reason == "context"
        assert len(session.tokens) == 10
    with pytest.raises(bonesoup.ContextFullError):
        soup.generate("a bone and a soup", context=4)


@pytest.mark.parametrize("token", [-1, 288, 2**31 - 1])
def test_tokens_outside_of_the_vocabulary_are_refused(soup: bonesoup.Soup, token: int) -> None:
    with soup.session() as session:
        with pytest.raises(bonesoup.InvalidArgumentError):
            session.append([1, token])
        assert session.tokens == []
    with soup.session() as session, pytest.raises(OverflowError):
        session.append([2**31])


def test_logits_of_positions_that_were_not_kept_are_not_ready(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        with pytest.raises(bonesoup.NotReadyError):
            session.logits()
        session.append(TOKENS[:4])
        with pytest.raises(bonesoup.NotReadyError):
            session.logits()
        session.decode()
        assert same_bits(numpy.asarray(session.logits(3)), numpy.asarray(session.logits(-1)))
        for position in (0, 2, 4, 10**12):
            with pytest.raises(bonesoup.BoneSoupError):
                session.logits(position)


def test_a_copy_of_logits_stays_and_a_view_ends_with_the_next_change(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        session.append(TOKENS[:4])
        session.decode()
        copy, view = session.logits(), session.logits(copy=False)
        assert len(view) == soup.info.vocabulary
        assert view.readonly
        assert view.tolist() == copy.tolist()
        session.append([1])
        assert copy.tolist()
        with pytest.raises(ValueError):
            view[0]


def test_an_array_on_a_view_of_logits_holds_off_changes(soup: bonesoup.Soup) -> None:
    session = soup.session()
    session.append(TOKENS[:4])
    session.decode()
    array = numpy.asarray(session.logits(copy=False))
    assert array.dtype == numpy.float32
    part = session.logits(copy=False)[3:5]
    for change in (session.close, session.decode, lambda: session.append([1]), lambda: session.rewind(1), session.next):
        with pytest.raises(BufferError):
            change()
    assert session.tokens == TOKENS[:4]
    assert same_bits(array.copy(), last_logits(session))
    del array
    pytest.raises(BufferError, session.append, [1])
    del part
    session.append([1])
    session.close()


def test_a_session_used_by_two_threads_is_busy(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        started, seen = threading.Event(), []

        def hook(logits: memoryview[float], tokens: memoryview[int]) -> None:
            started.set()
            time.sleep(0.005)

        def work() -> None:
            session.generate("a", max_tokens=60, ignore_end=True, hook=hook)

        thread = threading.Thread(target=work)
        thread.start()
        assert started.wait(10)
        for use in (lambda: session.tokens, lambda: session.append([1]), lambda: session.info, session.fork):
            try:
                use()
            except bonesoup.BusyError as error:
                seen.append(error.status)
        thread.join()
        assert seen == [bonesoup.Status.BUSY] * 4
        assert session.append([1]) == 1


def test_the_same_session_twice_in_a_batch_is_refused(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        session.append([1, 2])
        with pytest.raises(bonesoup.BoneSoupError):
            bonesoup.decode([session, session])
        session.decode()


def test_two_turns_continue_the_same_text(soup: bonesoup.Soup) -> None:
    with soup.blend() as blend, blend.session() as session, blend.session() as other:
        first = session.generate("The dog", max_tokens=5, ignore_end=True)
        second = session.generate(" and", max_tokens=5, ignore_end=True)
        tokens = [*soup.tokenize("The dog"), *first.tokens, *soup.tokenize(" and", special=False), *second.tokens]
        assert session.tokens == tokens
        assert second.stats.prefilled_tokens == len(soup.tokenize(" and", special=False)) + 1
        other.append(tokens)
        other.decode()
        session.decode()
        assert same_bits(last_logits(session), last_logits(other))


def test_memory_of_a_session_is_told_beforehand(soup: bonesoup.Soup) -> None:
    with soup.blend() as blend:
        f32, f16 = (blend.session_memory(context=256, kv_format=name) for name in ("f32", "f16"))
        assert 0 < f16 < f32 < 2.1 * f16
        with blend.session(context=256) as session:
            session.append((TOKENS * 2)[:256])
            session.decode()
            assert session.info.memory <= f32


def test_keys_and_values_in_16_bits_are_near() -> None:
    with bonesoup.Soup.open(MODELS / "llama3") as soup, soup.blend() as blend:
        exact = logits_of(blend, TOKENS)
        for name in ("f16", "bf16"):
            with blend.session(kv_format=name) as session:
                session.append(TOKENS)
                session.decode()
                error = numpy.linalg.norm(last_logits(session) - exact[-1]) / numpy.linalg.norm(exact[-1])
                assert 0 < error < 2e-2
                assert session.info.kv_format == name


@pytest.mark.parametrize("kind", ["live", "folded"])
def test_one_prompt_serves_many_preferences(soup: bonesoup.Soup, kind: Literal["live", "folded"]) -> None:
    points: list[list[float]] = [[1, 0, 0], [0, 1, 0], [0.2, 0.3, 0.5]]
    blends = [soup.blend(preference=point, kind=kind) for point in points]
    with blends[0].session() as prompt:
        prompt.append(TOKENS[:30])
        prompt.begin(response_only=True)
        prompt.decode()
        assert prompt.info.response_start == 29
        texts = []
        for blend in blends:
            with prompt.fork() as fork:
                fork.set_blend(blend)
                assert fork.info.computed >= 29
                texts.append(fork.generate(max_tokens=6, ignore_end=True, response_only=True).tokens)
            assert texts[-1] == blend.generate(TOKENS[:30], max_tokens=6, ignore_end=True, response_only=True).tokens
    with soup.blend(coefficients=[0, 0, 0], kind="live") as base, base.session() as session:
        session.append(TOKENS[:29])
        session.decode()
        session.set_blend(blends[1], "continue")
        session.append(TOKENS[29:30])
        assert session.generate(max_tokens=6, ignore_end=True).tokens == texts[1]
