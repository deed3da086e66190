"""Long calls for asyncio: each on a thread of its own, stopped by the library's own cancel flag.

Not on the loop's executor: its few threads would all be held by streams that nobody reads at the moment, and whoever
waits for one more would wait for ever.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, TypeVar

from bonesoup.cancel import Cancel

Result = TypeVar("Result")

# How many pieces of text a writer may be ahead of its reader.
_AHEAD = 16
_LOOK_SECONDS = 0.5  # how often a writer that waits for its reader looks whether the loop has ended without it


def _start(call: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
    thread = ThreadPoolExecutor(1, thread_name_prefix="bonesoup")
    try:
        return asyncio.get_running_loop().run_in_executor(thread, call, *arguments)
    finally:
        thread.shutdown(wait=False)


async def in_thread(call: Callable[[Cancel], Result], cancel: Cancel | None) -> Result:
    """Return what `call` returns, given a flag. A cancelled task raises the flag and awaits the call."""
    flag = cancel or Cancel()
    work = _start(call, flag)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _stop(work, flag)
        raise


async def pieces(
    call: Callable[[Cancel, Callable[[str], bool]], None], cancel: Cancel | None
) -> AsyncGenerator[str, None]:
    """Yield what `call` gives to its second argument, as it comes."""
    loop = asyncio.get_running_loop()
    flag, left, room = cancel or Cancel(), threading.Event(), threading.Semaphore(_AHEAD)
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def push(text: str) -> bool:
        while not room.acquire(timeout=_LOOK_SECONDS):
            if loop.is_closed():
                return False
        if left.is_set():
            return False
        loop.call_soon_threadsafe(queue.put_nowait, text)
        return True

    work = _start(call, flag, push)
    work.add_done_callback(lambda done: queue.put_nowait(None))  # after the last piece: the loop keeps the order
    try:
        while (text := await queue.get()) is not None:
            room.release()
            yield text
        await work
    finally:
        left.set()
        room.release()
        await _stop(work, flag)


async def _stop(work: asyncio.Future[Any], flag: Cancel) -> None:
    """Raise the flag of a call that still runs, and wait for its end, whatever that is."""
    if not work.done():
        flag.request()
        await asyncio.wait({work})
    if not work.cancelled():
        work.exception()
