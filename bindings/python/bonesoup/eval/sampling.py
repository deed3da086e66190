"""Texts by the thousand, each row of a batch with its own blend.

A token of a small model takes the library some 30 µs, so the loop does per token what it must: one call, and what the
call wrote. Its sessions are seen by nobody else, which is why they need none of the care that `Session` takes.
"""

from __future__ import annotations

import dataclasses
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from ctypes import byref, c_void_p
from typing import Any, NamedTuple

from bonesoup import _structs
from bonesoup._convert import info, options
from bonesoup._handle import check
from bonesoup._library import C
from bonesoup.blend import Blend
from bonesoup.session import Session


class Row(NamedTuple):
    """One text to be written."""

    blend: Blend
    # Tokens.
    prompt: Sequence[int]
    seed: int


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How tokens are picked. KL is measured between models at temperature 1, so sample at 1 where it matters."""

    max_tokens: int = 64
    temperature: float = 1.0
    # Texts written together. More than 64 gains nothing for small models, whose caches then leave the processor's.
    batch: int = 64


@dataclasses.dataclass
class Sample:
    """What was written after a prompt."""

    # An end token included.
    tokens: array[int]
    # The natural log of the probability that the sampled model gave each token.
    logprobs: array[float]
    # Nats over the base, where the method knows them without the base's log-probabilities.
    kl: float | None = None


class _Running(NamedTuple):
    number: int
    session: Session
    sample: Sample


def sample(rows: Iterable[Row], how: Sampling) -> Iterator[tuple[int, Sample]]:
    """Write a text for each row, `how.batch` at a time, and yield it with the row's number as soon as it is done.

    Rows are taken as room becomes free, so a generator may make its blends late and let them go.
    """
    waiting = enumerate(rows)
    step: Any = info(_structs.Step)
    step_pointer, decode, following = byref(step), C.bsoup_decode, C.bsoup_session_next
    wish = byref(options(_structs.DecodeOptions, "bsoup_decode_options_init"))
    running: list[_Running] = []
    try:
        while True:
            for index, row in itertools.islice(waiting, how.batch - len(running)):
                running.append(_Running(index, _begin(row, how), Sample(array("i"), array("f"))))
            if not running:
                return
            handles: Any = (c_void_p * len(running))(*(one.session._handle.value for one in running))
            calls = [(one.session._handle, one.sample.tokens.append, one.sample.logprobs.append) for one in running]
            done: set[int] = set()
            while not done:
                check(decode(handles, len(running), wish))
                for place, (handle, add_token, add_logprob) in enumerate(calls):
                    check(following(handle, step_pointer))
                    if step.token >= 0:
                        add_token(step.token)
                        add_logprob(step.logprob)
                    if step.finish:
                        done.add(place)
            for place in sorted(done):
                running[place].session.close()
                yield running[place].number, running[place].sample
            running = [one for place, one in enumerate(running) if place not in done]
    finally:
        for one in running:
            one.session.close()


def _begin(row: Row, how: Sampling) -> Session:
    session = row.blend.session(context=min(len(row.prompt) + how.max_tokens, row.blend._context))
    session.append(row.prompt)
    session.begin(max_tokens=how.max_tokens, temperature=how.temperature, seed=row.seed)
    return session
