"""How probable given texts are under a blend."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable, Iterator, Sequence
from ctypes import POINTER, byref, c_float, c_size_t, c_void_p
from typing import Any, NamedTuple

import numpy

from bonesoup import _structs
from bonesoup._convert import options
from bonesoup._handle import check
from bonesoup._library import C
from bonesoup.blend import Blend

# Bytes of logits that are held at once.
_ROOM = 64 << 20


class Given(NamedTuple):
    """A text whose tokens are to be scored."""

    blend: Blend
    prompt: Sequence[int]
    tokens: Sequence[int]


def log_probabilities(texts: Iterable[Given], vocabulary: int, batch: int = 32) -> Iterator[numpy.ndarray[Any, Any]]:
    """Yield, for each text in order, the natural log of the probability of each of its tokens (not the prompt's)."""
    texts = iter(texts)
    while True:
        group = list(itertools.islice(texts, batch))
        if not group:
            return
        longest = max(len(text.prompt) + len(text.tokens) for text in group)
        together = max(1, _ROOM // (4 * vocabulary * longest))
        for start in range(0, len(group), together):
            yield from _scored(group[start : start + together], vocabulary)


def _scored(texts: Sequence[Given], vocabulary: int) -> Iterator[numpy.ndarray[Any, Any]]:
    sessions = []
    try:
        for text in texts:
            session = text.blend.session(context=len(text.prompt) + len(text.tokens))
            sessions.append(session)
            # The last token is followed by nothing, so that its logits are not needed.
            session.append([*text.prompt, *text.tokens][:-1])
        wish: Any = options(_structs.DecodeOptions, "bsoup_decode_options_init")
        wish.all_logits = 1
        handles = (c_void_p * len(sessions))(*(session._handle.value for session in sessions))
        check(C.bsoup_decode(handles, len(sessions), byref(wish)))
        for session, text in zip(sessions, texts):
            logits = rows(session._handle, len(text.prompt) - 1, len(text.tokens), vocabulary)
            yield log_softmax(logits)[numpy.arange(len(text.tokens)), numpy.asarray(text.tokens, numpy.int64)]
    finally:
        for session in sessions:
            session.close()


def rows(handle: Any, first: int, count: int, vocabulary: int) -> numpy.ndarray[Any, Any]:
    """Copy the logits of `count` positions from `first` on: [count][vocabulary]."""
    copy = numpy.empty((count, vocabulary), numpy.float32)
    target, size = copy.ctypes.data, 4 * vocabulary
    values, length = POINTER(c_float)(), c_size_t()
    pointer, length_pointer = byref(values), byref(length)
    for index in range(count):
        check(C.bsoup_session_logits(handle, first + index, pointer, length_pointer))
        ctypes.memmove(target + index * size, values, size)
    return copy


def log_softmax(logits: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """z − ln Σ exp z along the last axis; overwrites its argument."""
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= numpy.log(numpy.exp(logits).sum(axis=-1, keepdims=True))
    return logits
