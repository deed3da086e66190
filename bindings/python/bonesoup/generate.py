"""Generating step by step: streams, and many texts together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bonesoup.errors import BoneSoupError, Status
from bonesoup.generation import FinishReason, Generation, Logprob, Stats
from bonesoup.options import Format, GenerateOptions, Prompt
from bonesoup.session import Session, Step, decode

if TYPE_CHECKING:
    from bonesoup.blend import Blend

_DEFAULT_TOKENS = 256


def room(blend: Blend, prompt: Prompt, how: GenerateOptions) -> int:
    """Return a context that has room for the prompt and the new tokens, or the model's where that is less.

    Memory is taken as it is used, so more than needed costs nothing. A token holds a byte at least, and a normalizer
    makes three bytes of a space.
    """
    new = how.get("max_tokens", _DEFAULT_TOKENS)
    needed = new + (3 * len(prompt.encode()) + 16 if isinstance(prompt, str) else len(prompt))
    return min(needed, blend._context)


def _refuse_on_text(how: GenerateOptions) -> None:
    if how.get("on_text") is not None:
        raise TypeError("on_text has no meaning here: use generate() for it")


class _Text:
    """One text that is being written."""

    def __init__(
        self, blend: Blend, prompt: Prompt, how: GenerateOptions, context: int, kv_format: Format | None
    ) -> None:
        self.session = Session(blend, context=context or room(blend, prompt, how), kv_format=kv_format)
        try:
            self.prompt_tokens = self.session.append(
                prompt,
                special=how.get("special", True),
                parse_special=how.get("parse_special", False),
                cancel=how.get("cancel"),
            )
            self.session.begin(**how)
        except BaseException:
            self.session.close()
            raise
        self.blend = blend.info
        self.pieces: list[str] = []
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.top_logprobs: list[tuple[Logprob, ...]] = []
        self.finish: FinishReason | None = "length" if how.get("max_tokens") == 0 else None

    def step(self) -> Step:
        step = self.session.next()
        if step.token >= 0:
            self.tokens.append(step.token)
            self.logprobs.append(step.logprob)
            self.top_logprobs.append(step.top_logprobs)
        self.pieces.append(step.text)
        self.finish = step.finish_reason
        return step

    def generation(self, prefill_seconds: float, decode_seconds: float) -> Generation:
        return Generation(
            text="".join(self.pieces),
            tokens=tuple(self.tokens),
            logprobs=tuple(self.logprobs),
            top_logprobs=tuple(self.top_logprobs),
            finish_reason=self.finish or "error",
            stats=Stats(self.prompt_tokens, self.prompt_tokens, len(self.tokens), prefill_seconds, decode_seconds),
            blend=self.blend,
            fingerprint=self.session.info.fingerprint,
        )


def stream(blend: Blend, prompt: Prompt, how: GenerateOptions, context: int, kv_format: Format | None) -> Iterator[str]:
    """Return an iterator over the pieces of a text."""
    _refuse_on_text(how)
    text = _Text(blend, prompt, how, context, kv_format)

    def pieces() -> Iterator[str]:
        with text.session:
            text.session.decode(progress=how.get("progress"), cancel=how.get("cancel"))
            while text.finish is None:
                piece = text.step().text
                if piece:
                    yield piece
                if text.finish is None:
                    text.session.decode(cancel=how.get("cancel"))

    return pieces()


def _decode(running: Sequence[_Text], texts: Sequence[_Text], **how: Any) -> None:
    """Decode those that still run; the statuses of a failure are of all texts."""
    try:
        decode([text.session for text in running], **how)
    except BoneSoupError as exception:
        met = dict(zip(map(id, running), exception.statuses or ()))
        exception.statuses = tuple(met.get(id(text), Status.OK) for text in texts)
        raise


def many(
    blends: Sequence[Blend], prompts: Sequence[Prompt], how: GenerateOptions, context: int, kv_format: Format | None
) -> list[Generation]:
    """Return the texts that follow the prompts, each on its own blend, stepped together."""
    _refuse_on_text(how)
    texts: list[_Text] = []
    cancel = how.get("cancel")
    try:
        for blend, prompt in zip(blends, prompts):
            texts.append(_Text(blend, prompt, how, context, kv_format))
        start = time.perf_counter()
        _decode(texts, texts, progress=how.get("progress"), cancel=cancel)
        middle = time.perf_counter()
        running = [text for text in texts if text.finish is None]
        while running:
            for text in running:
                text.step()
            running = [text for text in running if text.finish is None]
            if running:
                _decode(running, texts, cancel=cancel)
        end = time.perf_counter()
        return [text.generation(middle - start, end - middle) for text in texts]
    finally:
        for text in texts:
            text.session.close()
