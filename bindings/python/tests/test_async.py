"""The calls for asyncio: same results, stopped with their task."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time

import pytest

import bonesoup
from support import MODELS, SOUPS, Shape, random_model

# Work to be cancelled answers within 50 ms; the rest is what a busy machine may add.
LATENCY = 0.5


def test_results_are_those_of_the_plain_calls() -> None:
    async def story() -> None:
        soup = await bonesoup.Soup.open_async(SOUPS / "llama3-lora")
        preference = {"brief": 0.5, "happy": 0.5}
        plain = soup.generate("The soup", preference=preference, max_tokens=12, ignore_end=True)
        result = await soup.generate_async("The soup", preference=preference, max_tokens=12, ignore_end=True)
        assert result.tokens == plain.tokens
        text = soup.stream_async("The soup", preference=preference, max_tokens=12, ignore_end=True)
        assert "".join([piece async for piece in text]) == plain.text
        many = await soup.generate_many_async(["The soup"] * 3, [preference] * 3, max_tokens=12, ignore_end=True)
        assert [one.tokens for one in many] == [plain.tokens] * 3
        with soup.session(preference=preference) as session:
            assert (await session.generate_async("The soup", max_tokens=12, ignore_end=True)).tokens == plain.tokens
        soup.close()

    asyncio.run(story())


def test_failures_come_out_of_the_await() -> None:
    async def story() -> None:
        with pytest.raises(bonesoup.NotFoundError):
            await bonesoup.Soup.open_async(MODELS / "nothing")
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")
        with pytest.raises(bonesoup.InvalidArgumentError):
            await soup.generate_async("The soup", temperature=-1.0)
        with pytest.raises(bonesoup.InvalidArgumentError):
            async for _ in soup.stream_async("The soup", temperature=-1.0):
                pass

    asyncio.run(story())


def test_cancelling_the_task_stops_the_call() -> None:
    began = threading.Event()

    def slow(logits: memoryview[float], tokens: memoryview[int]) -> None:
        began.set()
        time.sleep(0.01)

    async def story() -> None:
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")
        task = asyncio.create_task(soup.generate_async("The soup", max_tokens=200, ignore_end=True, hook=slow))
        await asyncio.get_running_loop().run_in_executor(None, began.wait)
        task.cancel()
        start = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        # 200 steps would take 2 seconds.
        assert time.monotonic() - start < 1

    asyncio.run(story())


def test_leaving_a_stream_ends_it_and_a_slow_reader_holds_the_writer() -> None:
    steps = 0

    def count(logits: memoryview[float], tokens: memoryview[int]) -> None:
        nonlocal steps
        steps += 1

    async def story() -> None:
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")
        text = soup.stream_async("The soup", max_tokens=200, ignore_end=True, hook=count)
        async for piece in text:
            assert piece
            await asyncio.sleep(0.3)
            break
        ahead = steps
        await text.aclose()
        assert ahead < 150

    asyncio.run(story())


def test_two_sessions_run_at_once_on_two_threads() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet(logits: memoryview[float], tokens: memoryview[int]) -> None:
        both.wait()  # broken unless both calls are inside the library now

    async def story() -> None:
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")
        texts = [soup.generate_async("The soup", max_tokens=5, ignore_end=True, hook=meet) for _ in range(2)]
        assert [len(text.tokens) for text in await asyncio.gather(*texts)] == [5, 5]

    asyncio.run(story())


def test_cancelling_the_task_stops_a_long_prefill_and_the_session_goes_on(tmp_path: pathlib.Path) -> None:
    shape = Shape(hidden=256, layers=6, inner=768, heads=4, vocab=4000, context=200_000)
    tokens = [index % shape.vocab for index in range(60_000)]

    async def story() -> None:
        soup = await bonesoup.Soup.open_async(random_model(tmp_path / "model", shape))
        with soup.session(context=100_000) as session:
            task = asyncio.create_task(session.generate_async(tokens, max_tokens=1))
            await asyncio.sleep(0.2)
            start = time.monotonic()
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - start < LATENCY
            computed = session.info.computed
            assert 0 < computed < len(tokens)
            session.rewind(min(computed, 100))
            assert len((await session.generate_async([1], max_tokens=2, ignore_end=True)).tokens) == 2

    asyncio.run(story())


def test_cancelling_the_reader_of_a_stream_leaves_nothing_behind() -> None:
    complaints: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")

        async def read() -> None:
            async for _ in soup.stream_async("The soup", max_tokens=200, ignore_end=True):
                await asyncio.sleep(0.01)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < LATENCY
        await asyncio.sleep(0.05)  # for the generator that the loop closes
        assert {one for one in asyncio.all_tasks() if one is not asyncio.current_task()} == set()

    asyncio.run(story())
    assert complaints == []
    assert not any(thread.name.startswith("bonesoup_") and thread.is_alive() for thread in threading.enumerate())


def test_many_streams_that_wait_for_their_readers_do_not_block_each_other() -> None:
    """More than the threads of the loop's own executor, each with more text than may be ahead."""

    async def story() -> None:
        soup = await bonesoup.Soup.open_async(MODELS / "llama3")
        texts = [soup.stream_async("The soup", max_tokens=60, ignore_end=True) for _ in range(40)]
        for _ in range(3):
            for text in texts:
                await asyncio.wait_for(text.__anext__(), 20)
        for text in texts:
            await text.aclose()

    asyncio.run(story())
