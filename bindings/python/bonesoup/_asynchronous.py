"""Long calls for asyncio: on a thread of the loop's executor, stopped by the library's own cancel flag."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator
from typing import Any, Callable, TypeVar

from bonesoup.cancel import Cancel

Result = TypeVar("Result")

# How many pieces of text a writer may be ahead of its reader.
_AHEAD = 16
_LOOK_SECONDS = 0.05


async def in_thread(call: Callable[[Cancel], Result], cancel: Cancel | None) -> Result:
    """Return what `call` returns, given a flag. A cancelled task raises the flag and awaits the call."""
    flag = cancel or Cancel()
    work = asyncio.get_running_loop().run_in_executor(None, call, flag)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _stop(work, flag)
        raise


async def pieces(call: Callable[[Cancel, Callable[[str], bool]], None], cancel: Cancel | None) -> AsyncIterator[str]:
    """Yield what `call` gives to its second argument, as it comes."""
    loop = asyncio.get_running_loop()
    flag, left = cancel or Cancel(), threading.Event()
    queue: asyncio.Queue[str] = asyncio.Queue(_AHEAD)

    def push(text: str) -> bool:
        waiting = asyncio.run_coroutine_threadsafe(queue.put(text), loop)
        while not left.is_set():
            try:
                waiting.result(_LOOK_SECONDS)
                return True
            except concurrent.futures.TimeoutError:
                continue
        waiting.cancel()
        return False

    work = loop.run_in_executor(None, call, flag, push)
    try:
        while True:
            next_piece = asyncio.ensure_future(queue.get())
            either: set[asyncio.Future[Any]] = {next_piece, work}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not next_piece.done():
                next_piece.cancel()
                break
            yield next_piece.result()
        while not queue.empty():
            yield queue.get_nowait()
        await work
    finally:
        left.set()
        await _stop(work, flag)


async def _stop(work: asyncio.Future[Any], flag: Cancel) -> None:
    """Raise the flag of a call that still runs, and wait for its end, whatever that is."""
    if not work.done():
        flag.request()
        await asyncio.wait({work})
    if not work.cancelled():
        work.exception()
