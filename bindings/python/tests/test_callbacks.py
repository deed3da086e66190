"""Callbacks: what they raise, what they return, and what they may do."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS, Shape, random_model

TOKENS = [index % 200 for index in range(200)]


class Boom(Exception):
    pass


@pytest.fixture
def soup() -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as opened:
        yield opened


def boom(*arguments: object) -> bool:
    raise Boom(arguments)


def test_an_exception_in_any_callback_ends_the_call_and_is_raised(
    soup: bonesoup.Soup, capfd: pytest.CaptureFixture[str]
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: soup.generate("The dog", on_text=boom),
        lambda: soup.generate("The dog", hook=boom),
        lambda: soup.generate("The dog", progress=boom),
        lambda: soup.session().generate("The dog", on_text=boom),
        lambda: soup.generate_many(["The dog"], hook=boom),
        lambda: soup.generate_many(["The dog"], progress=boom),
        lambda: list(soup.stream("The dog", hook=boom)),
        lambda: soup.blend(kind="folded", progress=boom),
        lambda: bonesoup.Soup.open(MODELS / "llama3", load="copy", progress=boom),
        lambda: soup.add_backbone(MODELS / "llama3" / "adapters" / "plain", load="copy", progress=boom),
    ]
    for index, call in enumerate(calls):
        with pytest.raises(Boom):
            call()
            pytest.fail(f"call {index} has not failed")
    assert capfd.readouterr() == ("", "")


def test_other_exceptions_than_exception_come_through(soup: bonesoup.Soup) -> None:
    def leave(text: str) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        soup.generate("The dog", on_text=leave)


def test_a_session_goes_on_after_an_exception_in_a_hook(soup: bonesoup.Soup) -> None:
    with soup.session() as session:
        with pytest.raises(Boom):
            session.generate("The dog", hook=boom)
        assert session.tokens == soup.tokenize("The dog")
        expected = soup.generate("The dog", max_tokens=5, ignore_end=True).tokens
        assert session.generate(max_tokens=5, ignore_end=True).tokens == expected


def test_false_from_progress_cancels(soup: bonesoup.Soup) -> None:
    for call in (
        lambda: soup.generate("The dog", progress=lambda share: False),
        lambda: soup.blend(kind="folded", progress=lambda share: False),
        lambda: bonesoup.Soup.open(MODELS / "llama3", load="copy", progress=lambda share: False),
    ):
        with pytest.raises(bonesoup.CancelledError):
            call()


def test_false_from_a_hook_cancels_and_the_error_has_the_text_so_far(soup: bonesoup.Soup) -> None:
    count = 0

    def hook(logits: memoryview[float], tokens: memoryview[int]) -> bool:
        nonlocal count
        count += 1
        return count < 5

    with pytest.raises(bonesoup.CancelledError) as caught:
        soup.generate("The dog", hook=hook, ignore_end=True)
    generation = caught.value.generation
    assert generation is not None
    assert generation.finish_reason == "cancelled"
    assert len(generation.tokens) == 4
    assert generation.text == soup.detokenize(generation.tokens)


def test_progress_goes_from_0_to_1_and_never_back(soup: bonesoup.Soup) -> None:
    for call in (
        lambda shares: soup.generate(TOKENS, max_tokens=1, progress=shares.append),
        lambda shares: soup.blend(kind="folded", coefficients=[0.1, 0.2, 0.3], progress=shares.append),
        lambda shares: bonesoup.Soup.open(MODELS / "llama3", load="copy", progress=shares.append),
    ):
        shares: list[float] = []
        call(shares)
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] == 1.0


def test_views_in_a_hook_end_with_it(soup: bonesoup.Soup) -> None:
    kept: list[memoryview[float]] = []
    arrays: list[object] = []
    soup.generate("The dog", max_tokens=2, hook=lambda logits, tokens: kept.append(logits))
    with pytest.raises(ValueError):
        kept[0][0]
    with pytest.raises(BufferError):
        soup.generate("The dog", max_tokens=2, hook=lambda logits, tokens: arrays.append(numpy.asarray(logits)))


def test_callbacks_may_call_back_in(soup: bonesoup.Soup) -> None:
    inner: list[str] = []
    statuses: list[bonesoup.Status] = []

    with soup.session() as session:

        def on_text(text: str) -> None:
            if not inner:
                inner.append(soup.generate("The cat", max_tokens=4, ignore_end=True, on_text=lambda text: None).text)
            try:
                session.append([1])
            except bonesoup.BusyError as error:
                statuses.append(error.status)

        session.generate("The dog", max_tokens=6, ignore_end=True, on_text=on_text)
    assert inner == [soup.generate("The cat", max_tokens=4, ignore_end=True).text]
    assert set(statuses) == {bonesoup.Status.BUSY}


def test_closing_everything_in_a_callback_is_harmless() -> None:
    soup = bonesoup.Soup.open(SOUPS / "llama3-lora")
    blend = soup.blend()
    session = blend.session()

    def on_text(text: str) -> None:
        for each in (soup, blend, session):
            each.close()

    assert len(session.generate("The dog", max_tokens=6, ignore_end=True, on_text=on_text).tokens) == 6
    with pytest.raises(bonesoup.StaleHandleError):
        session.append([1])


def test_callbacks_run_on_the_thread_of_the_call(soup: bonesoup.Soup) -> None:
    seen: set[int] = set()
    soup.generate("The dog", max_tokens=4, on_text=lambda text: seen.add(threading.get_ident()))
    assert seen <= {threading.get_ident()}


def test_a_cancel_flag_stops_a_call_of_another_thread(tmp_path: pathlib.Path) -> None:
    random_model(tmp_path / "m", Shape(hidden=256, layers=4, inner=512, heads=4, vocab=2000, context=100_000))
    with bonesoup.Soup.open(tmp_path / "m") as soup, bonesoup.Cancel() as cancel:
        requested: list[float] = []

        def request() -> None:
            time.sleep(0.2)
            requested.append(time.perf_counter())
            cancel.request()

        thread = threading.Thread(target=request)
        thread.start()
        with pytest.raises(bonesoup.CancelledError) as caught:
            soup.generate([1, 2, 3], max_tokens=90_000, ignore_end=True, cancel=cancel)
        assert time.perf_counter() - requested[0] < 0.5
        thread.join()
        assert caught.value.generation is not None
        assert caught.value.generation.finish_reason == "cancelled"
        with pytest.raises(bonesoup.CancelledError):  # a raised flag stays raised
            soup.generate([1, 2, 3], max_tokens=90_000, ignore_end=True, cancel=cancel)
        cancel.close()
        with pytest.raises(bonesoup.StaleHandleError):
            soup.generate([1, 2, 3], max_tokens=1, cancel=cancel)
        cancel.request()


def test_the_log_is_silent_or_has_lines() -> None:
    lines: list[tuple[bool, str]] = []
    with bonesoup.Engine(log=lambda warning, line: lines.append((warning, line))) as engine:
        bonesoup.Soup.open(MODELS / "llama3", engine=engine).close()
    assert all(line and "\n" not in line for _, line in lines)
