"""What a generation gives back."""

from __future__ import annotations

import dataclasses
from ctypes import byref
from typing import Any, Literal, NamedTuple, cast

from bonesoup import _constants, _structs
from bonesoup._convert import info, name_of
from bonesoup._handle import Handle, check
from bonesoup._library import C
from bonesoup.blend_info import BlendInfo

# Why a text ended: the model's end token, one of the stop tokens or stop strings, max_tokens, the context, on_text
# returned False, cancelled, or a failure on the way.
FinishReason = Literal["end", "stop_token", "stop_string", "length", "context", "callback", "cancelled", "error"]


class Logprob(NamedTuple):
    """The natural log of the model's own probability of a token, before bias, penalties and temperature."""

    token: int
    logprob: float


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a generation took. In a batch, the seconds are the whole batch's."""

    prompt_tokens: int
    # Tokens that were computed before the first new one.
    prefilled_tokens: int
    # New tokens.
    tokens: int
    # Until the logits for the first new token.
    prefill_seconds: float
    # The rest.
    decode_seconds: float


@dataclasses.dataclass(frozen=True)
class Generation:
    """A generated text."""

    # The new text; it ends before a stop string or an end token.
    text: str
    # The new tokens, an end token included.
    tokens: tuple[int, ...]
    # One per token.
    logprobs: tuple[float, ...]
    # Per token the most probable ones, most probable first; empty tuples without `top_logprobs`.
    top_logprobs: tuple[tuple[Logprob, ...], ...]
    finish_reason: FinishReason
    stats: Stats
    # The blend that was used.
    blend: BlendInfo
    # Of the session at the end of the call: it tells blend, KV format and changes of blend on the way.
    fingerprint: str


def finish_reason(number: int) -> FinishReason:
    """Return the reason for a BSOUP_FINISH_*."""
    return cast(FinishReason, name_of(_constants.FINISHES, number))


def logprobs(top: Any, count: int) -> tuple[Logprob, ...]:
    """Return `count` entries at a pointer to bsoup_logprob."""
    return tuple(Logprob(entry.token, entry.logprob) for entry in top[:count]) if count else ()


class GenerationHandle(Handle):
    """The owner of a bsoup_generation, read once."""

    _free = C.bsoup_generation_free
    _kind = "generation"

    def read(self, blend: BlendInfo) -> Generation:
        """Copy everything out of it."""
        raw = info(_structs.GenerationInfo)
        check(C.bsoup_generation_get_info(self._handle, byref(raw)))
        count, top = raw.token_count, raw.top_count
        return Generation(
            text=raw.text[: raw.text_size].decode() if raw.text_size else "",
            tokens=tuple(raw.tokens[:count]) if count else (),
            logprobs=tuple(raw.logprobs[:count]) if count else (),
            top_logprobs=tuple(logprobs(raw.top[i * top : (i + 1) * top], top) if top else () for i in range(count)),
            finish_reason=finish_reason(raw.finish),
            stats=Stats(raw.prompt_tokens, raw.prefilled_tokens, count, raw.prefill_seconds, raw.decode_seconds),
            blend=blend,
            fingerprint=raw.fingerprint.decode(),
        )
