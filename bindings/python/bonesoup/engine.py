"""Engines: what soups run on."""

from __future__ import annotations

from collections.abc import Iterable
from ctypes import byref, c_uint64
from typing import Any, Callable

from bonesoup import _structs
from bonesoup._convert import options, put, unsigned
from bonesoup._handle import Handle, check
from bonesoup._library import C

# Gets whether the line is a warning, and the line.
Log = Callable[[bool, str], None]


class Engine(Handle):
    """A thread pool and a memory budget that soups live in. Without one, a soup uses the process's default engine.

    Parameters
    ----------
    threads
        Threads of one decode, the caller's included; 0: one per CPU that the process may use.
    memory_budget
        Bytes of large memory at once (weights that are copied, KV, folds); 0: no limit.
    cpus
        CPU numbers to pin the pool's threads to.
    spin_microseconds
        How long an idle thread spins before it sleeps; None: the library's default.
    log
        Gets lines of information and warnings, on any thread.
    """

    _free = C.bsoup_engine_free
    _kind = "engine"

    def __init__(
        self,
        threads: int = 0,
        *,
        memory_budget: int = 0,
        cpus: Iterable[int] | None = None,
        spin_microseconds: int | None = None,
        log: Log | None = None,
    ) -> None:
        wish = options(_structs.EngineOptions, "bsoup_engine_options_init")
        put(wish, "thread_count", threads, "threads")
        put(wish, "memory_budget", memory_budget, "memory_budget")
        if spin_microseconds is not None:
            put(wish, "spin_microseconds", spin_microseconds, "spin_microseconds")
        if cpus is not None:
            numbers = unsigned(cpus)
            wish.cpus, wish.cpu_count = numbers, len(numbers)
        function = None if log is None else _log_function(log)
        if function is not None:
            wish.log = function
        super().__init__((function,))
        check(C.bsoup_engine_create(byref(wish), byref(self._pointer)))

    @property
    def memory(self) -> int:
        """Bytes of large memory in use now."""
        count = c_uint64()
        check(C.bsoup_engine_memory(self._handle, byref(count)))
        return count.value


def _log_function(log: Log) -> Any:
    return _structs.LogFn(lambda level, line, context: log(level > 0, line.decode("utf-8", "replace")))
