"""The calls for asyncio: same results, stopped with their task."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import bonesoup
from support import MODELS, SOUPS


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
        await text.aclose()  # type: ignore[attr-defined]
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
