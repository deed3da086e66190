"""Texts by the thousand, each row of a batch with its own blend.

A token of a small model takes the library some 10 µs, so whole texts are left to it, many in one call, by sessions that
nobody else sees: they need none of the care that `Session` takes.
"""

from __future__ import annotations

import dataclasses
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from ctypes import byref, c_void_p, pointer, string_at
from typing import Any, NamedTuple

from bonesoup import _structs
from bonesoup._convert import info, options, tokens
from bonesoup._handle import check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import session_options
from bonesoup.blend import Blend

# Bytes of the keys and values of the texts in one call, and how many texts that may be.
_MEMORY = 128 << 20
_FEWEST, _MOST = 64, 1024


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
    # Texts handed over together; 0: as many as `_MEMORY` has room for, within `_FEWEST` and `_MOST`.
    batch: int = 0


@dataclasses.dataclass
class Sample:
    """What was written after a prompt."""

    # An end token included.
    tokens: array[int]
    # The natural log of the probability that the sampled model gave each token.
    logprobs: array[float]
    # Nats over the base, where the method knows them without the base's log-probabilities.
    kl: float | None = None


def sample(rows: Iterable[Row], how: Sampling) -> Iterator[tuple[int, Sample]]:
    """Write a text for each row, and yield it with the row's number, in their order.

    Rows are taken some hundred at a time, so a generator may make its blends late and let them go.
    """
    waiting = enumerate(rows)
    texts = _Texts(how)
    while part := list(itertools.islice(waiting, 1)):
        size = how.batch or texts.fitting(part[0][1])
        part += itertools.islice(waiting, size - 1)
        yield from zip((number for number, _ in part), texts.write([row for _, row in part]))


class _Texts:
    """The calls that write texts, with what all of them have in common."""

    def __init__(self, how: Sampling) -> None:
        self._how = how
        self._session: Any = session_options(0, None)
        self._sampling: Any = options(_structs.SamplingOptions, "bsoup_sampling_options_init")
        self._sampling.temperature = how.temperature
        self._generate: Any = options(_structs.GenerateOptions, "bsoup_generate_options_init")
        self._generate.max_tokens, self._generate.sampling = how.max_tokens, pointer(self._sampling)
        self._session_pointer, self._generate_pointer = byref(self._session), byref(self._generate)
        self._decode: Any = options(_structs.DecodeOptions, "bsoup_decode_options_init")
        self._info: Any = info(_structs.GenerationInfo)

    def fitting(self, row: Row) -> int:
        """Return how many texts of this length may be written together."""
        memory = row.blend.session_memory(context=self._context(row))
        return min(max(_MEMORY // max(memory, 1), _FEWEST), _MOST)

    def write(self, rows: Sequence[Row]) -> list[Sample]:
        sessions, texts = (c_void_p * len(rows))(), (c_void_p * len(rows))()
        try:
            for place, row in enumerate(rows):
                self._begin(row, sessions, place)
            with LongCall(None) as call:
                self._decode.cancel = call.flag._handle
                check(C.bsoup_generate_batch(sessions, len(rows), byref(self._decode), texts))
            return [self._read(text) for text in texts]
        finally:
            for session in sessions:
                C.bsoup_session_free(session)
            for text in texts:
                C.bsoup_generation_free(text)

    def _context(self, row: Row) -> int:
        return min(len(row.prompt) + self._how.max_tokens, row.blend._context)

    def _begin(self, row: Row, sessions: Any, place: int) -> None:
        self._session.context = self._context(row)
        self._sampling.seed = row.seed
        session, prompt = c_void_p(), tokens(row.prompt)
        check(C.bsoup_session_create(row.blend._handle, self._session_pointer, byref(session)))
        sessions[place] = session
        check(C.bsoup_session_append(session, prompt, len(prompt)))
        check(C.bsoup_session_begin(session, self._generate_pointer))

    def _read(self, text: int | None) -> Sample:
        found = self._info
        check(C.bsoup_generation_get_info(text, byref(found)))
        sample = Sample(array("i"), array("f"))
        sample.tokens.frombytes(string_at(found.tokens, 4 * found.token_count))
        sample.logprobs.frombytes(string_at(found.logprobs, 4 * found.token_count))
        return sample
