"""Blends: a soup at one preference."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from ctypes import byref, c_double, c_uint64
from typing import TYPE_CHECKING

from bonesoup import _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import info as info_structure
from bonesoup._exporting import ExportOptions, export_blend
from bonesoup._handle import Handle, check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import blend_options, generate_options, session_options
from bonesoup.blend_info import Adjustment, BlendInfo, from_raw
from bonesoup.cancel import Cancel
from bonesoup.errors import Status
from bonesoup.factoring import Factoring
from bonesoup.generate import room, stream
from bonesoup.generation import Generation, GenerationHandle
from bonesoup.options import BlendChoice, Format, GenerateOptions, Prompt
from bonesoup.session import Session, finished

if TYPE_CHECKING:
    from bonesoup.soup import Soup

    if sys.version_info >= (3, 12):
        from typing import Unpack
    else:
        from typing_extensions import Unpack

_SLICE_MILLISECONDS = 20


class Blend(Handle):
    """The model at one point of a soup; made by `Soup.blend`. It never changes: for another preference make another.

    Attributes
    ----------
    info
        Everything about it; the properties are short cuts into it.
    """

    _free = C.bsoup_blend_free
    _kind = "blend"

    def __init__(
        self,
        soup: Soup,
        choice: BlendChoice,
        *,
        background: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._callbacks = Callbacks()
        super().__init__((soup._borrowed, self._callbacks, cancel))
        names = soup._objective_names()
        self._context = soup._context
        wish = blend_options(choice)
        wish.background = background
        wish.progress = self._callbacks.progress(progress, "blending")
        with LongCall(cancel) as call:
            if cancel is not None or not background:
                wish.cancel = call.flag._handle
            status = C.bsoup_blend_create(soup._handle, byref(wish), byref(self._pointer))
            if background:
                check(status)  # what a callback raises meanwhile is for `wait`
            else:
                self._callbacks.check(status)
        if background:
            _background.add(self)
        self.info = self._read(names)

    def _raw(self) -> _structs.BlendInfo:
        raw: _structs.BlendInfo = info_structure(_structs.BlendInfo)
        check(C.bsoup_blend_get_info(self._handle, byref(raw)))
        return raw

    def _read(self, names: Sequence[str]) -> BlendInfo:
        raw = self._raw()
        preference, coefficients = (c_double * raw.objective_count)(), (c_double * raw.backbone_count)()
        if raw.objective_count:
            check(C.bsoup_blend_preference(self._handle, preference, len(preference)))
        if raw.backbone_count:
            check(C.bsoup_blend_coefficients(self._handle, coefficients, len(coefficients)))
        return from_raw(raw, names, list(preference), list(coefficients))

    @property
    def preference(self) -> Mapping[str, float] | None:
        """Each objective's part after adjustments; None for a blend made from coefficients."""
        return self.info.preference

    @property
    def coefficients(self) -> tuple[float, ...]:
        """How much of each backbone goes in, λ."""
        return self.info.coefficients

    @property
    def base_share(self) -> float:
        """How much of the base goes in: 1 − Σλ over the full backbones."""
        return self.info.base_share

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """What was done to the preference: "renormalized", "clamped"."""
        return self.info.adjustments

    @property
    def kind(self) -> str:
        """The kind: "folded" or "live"."""
        return self.info.kind

    @property
    def fingerprint(self) -> str:
        """In one process, blends that have the same give the same bits."""
        return self.info.fingerprint

    @property
    def ready(self) -> bool:
        """Whether it can be used; False while a fold goes on in the background, and after one that failed."""
        return bool(self._raw().state == Status.OK)

    @property
    def progress(self) -> float:
        """The share of the fold that is done."""
        return float(self._raw().progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a fold in the background is done, at most `timeout` seconds, and return whether it is.

        A fold that failed, or was cancelled, raises what it failed with, now and from then on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE_MILLISECONDS if end is None else round((end - time.monotonic()) * 1000)
            status = C.bsoup_blend_wait(self._handle, max(0, min(left, _SLICE_MILLISECONDS)))
            if status != Status.NOT_READY:
                self._callbacks.check(status)
                return True
            if left <= 0:
                return False

    def session(self, *, context: int = 0, kv_format: Format | None = None) -> Session:
        """Return a new session on this blend.

        Parameters
        ----------
        context
            Positions at most; 0: what the model was made for, but not above 4096. Memory is taken 64 at a time.
        kv_format
            Of the KV cache: f32, f16, bf16 or q8_0; by default f32 with f32 weights, else f16.
        """
        return Session(self, context=context, kv_format=kv_format)

    def session_memory(self, *, context: int = 0, kv_format: Format | None = None) -> int:
        """Return the bytes of large memory that such a session takes when its context is full."""
        count = c_uint64()
        wish = session_options(context, kv_format)
        check(C.bsoup_session_memory(self._handle, byref(wish), byref(count)))
        return count.value

    def generate(
        self, prompt: Prompt, *, context: int = 0, kv_format: Format | None = None, **how: Unpack[GenerateOptions]
    ) -> Generation:
        """Return the text that follows the prompt. `context`: positions at most; 0: as many as the call can need."""
        if not isinstance(prompt, str):
            with self.session(context=context or room(self, prompt, how), kv_format=kv_format) as session:
                return session.generate(prompt, **how)
        text, callbacks, result = prompt.encode(), Callbacks(), GenerationHandle()
        wish = generate_options(how, callbacks)
        room_wish = session_options(context, kv_format)
        wish.context, wish.kv_format = room_wish.context, room_wish.kv_format
        with LongCall(how.get("cancel")) as call:
            wish.cancel = call.flag._handle
            status = C.bsoup_generate(self._handle, text, len(text), byref(wish), byref(result._pointer))
            return finished(status, result, callbacks, self.info)

    def stream(
        self, prompt: Prompt, *, context: int = 0, kv_format: Format | None = None, **how: Unpack[GenerateOptions]
    ) -> Iterator[str]:
        """Return an iterator over the pieces of the text that follows the prompt, as they are written."""
        return stream(self, prompt, how, context, kv_format)

    def export(self, path: str | os.PathLike[str], **how: Unpack[ExportOptions]) -> Factoring | None:
        """Write the blend for other engines: transformers, vLLM, llama.cpp's converters.

        `path` does not exist, or is an empty folder; it comes into being whole or not at all. Returns what a
        recompression lost, else None.
        """
        return export_blend(self._handle, path, how)


# Folds that may still call back; they end before the interpreter does.
_background: weakref.WeakSet[Blend] = weakref.WeakSet()


@atexit.register
def _stop() -> None:
    for blend in tuple(_background):
        blend.close()
