"""Sessions: running texts."""

from __future__ import annotations

import dataclasses
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from ctypes import POINTER, byref, c_float, c_int32, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, Literal

from bonesoup import _constants, _structs
from bonesoup._asynchronous import in_thread
from bonesoup._callbacks import Callbacks, Progress, take_back, view
from bonesoup._convert import info, name_of, options, put, word
from bonesoup._convert import tokens as token_array
from bonesoup._handle import Handle, check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import generate_options, session_options, tokenize_flags
from bonesoup.blend_info import BlendInfo
from bonesoup.cancel import Cancel
from bonesoup.errors import BoneSoupError, Status, error, known
from bonesoup.generation import FinishReason, Generation, GenerationHandle, Logprob, finish_reason, logprobs
from bonesoup.options import Format, GenerateOptions, Prompt

if TYPE_CHECKING:
    from bonesoup.blend import Blend

    if sys.version_info >= (3, 12):
        from typing import Unpack
    else:
        from typing_extensions import Unpack


@dataclasses.dataclass(frozen=True)
class SessionInfo:
    """The state of a session."""

    # Of the text.
    tokens: int
    # Of these, with KV; the rest is computed by the next decode.
    computed: int
    # Positions at most.
    context: int
    # Bytes held: KV (shared ones included), tokens, logits.
    memory: int
    kv_format: str
    # Over the blend's and the KV format, and changes of blend with "continue".
    fingerprint: str
    # Positions before it are computed by the base alone (response_only); 0: none.
    response_start: int


@dataclasses.dataclass(frozen=True)
class Step:
    """One new token of a begun generation."""

    token: int
    # New text that is certain; may be empty.
    text: str
    logprob: float
    top_logprobs: tuple[Logprob, ...]
    # Not None in the last step.
    finish_reason: FinishReason | None


class Session(Handle):
    """One running text: its tokens, their KV cache, a sampler, and the blend it uses.

    Tokens are appended, then computed by `decode` or `generate`. One thread at a time: a second one gets a BusyError,
    and so does a callback of the session's own call.
    """

    _free = C.bsoup_session_free
    _kind = "session"

    def __init__(self, blend: Blend, *, context: int = 0, kv_format: Format | None = None) -> None:
        super().__init__((blend._keep,))
        self._prepare(blend.info)
        wish = session_options(context, kv_format)
        check(C.bsoup_session_create(blend._handle, byref(wish), byref(self._pointer)))

    def _prepare(self, blend: BlendInfo) -> None:
        self._blend = blend
        self._callbacks = Callbacks()  # of the begun generation
        self._alive: list[Callbacks] = []  # one of them is what the library holds, also after an interrupted begin
        self._views: list[tuple[weakref.ref[memoryview[float]], weakref.ref[Any]]] = []
        # Held by the call that uses the session, until what it reads of the session's memory is copied.
        self._lock = threading.Lock()
        self._closing = False

    @property
    def info(self) -> SessionInfo:
        """The state of the session."""
        raw = info(_structs.SessionInfo)
        with _Use(self):
            check(C.bsoup_session_get_info(self._handle, byref(raw)))
        return SessionInfo(
            tokens=raw.token_count,
            computed=raw.computed_count,
            context=raw.context,
            memory=raw.memory,
            kv_format=name_of(_constants.FORMATS, raw.kv_format),
            fingerprint=raw.fingerprint.decode(),
            response_start=raw.response_start,
        )

    @property
    def tokens(self) -> list[int]:
        """All tokens of the text."""
        values, count = POINTER(c_int32)(), c_size_t()
        with _Use(self):
            check(C.bsoup_session_tokens(self._handle, byref(values), byref(count)))
            return values[: count.value] if count.value else []

    def append(
        self,
        prompt: Prompt,
        *,
        special: bool = True,
        parse_special: bool = False,
        cancel: Cancel | None = None,
    ) -> int:
        """Append a text or tokens and return how many tokens that were; nothing is computed.

        `special` and `parse_special` are those of GenerateOptions, and count for texts.
        """
        if not isinstance(prompt, str):
            values = token_array(prompt)
            with _Use(self, changes=True):
                check(C.bsoup_session_append(self._handle, values, len(values)))
            return len(values)
        text, count = prompt.encode(), c_size_t()
        flags = tokenize_flags(special, parse_special)
        with LongCall(cancel) as call, _Use(self, changes=True):
            flag = call.flag._handle
            check(C.bsoup_session_append_text(self._handle, text, len(text), flags, flag, byref(count)))
        return count.value

    def rewind(self, count: int) -> None:
        """Keep the first `count` tokens and forget the rest, as if they had never been."""
        if count < 0:
            raise error(Status.INVALID_ARGUMENT, f"count = {count} is negative")
        with _Use(self, changes=True):
            check(C.bsoup_session_rewind(self._handle, count))

    def fork(self) -> Session:
        """Return a copy with the same tokens, KV cache (shared up to here), logits and blend that goes its own way."""
        copy = Session.__new__(Session)
        Handle.__init__(copy, self._keep)
        with _Use(self):
            copy._prepare(self._blend)
            check(C.bsoup_session_fork(self._handle, byref(copy._pointer)))
        return copy

    def set_blend(self, blend: Blend, policy: Literal["recompute", "continue"] = "recompute") -> None:
        """Change the blend for the tokens computed from now on.

        With "recompute" the tokens so far are computed again: the bits of a fresh session. With "continue" the old
        blend's KV cache and logits are kept, which takes microseconds, and the session's fingerprint tells.
        """
        number = word(_constants.POLICIES, policy, "policy")
        with _Use(self, changes=True):
            check(C.bsoup_session_set_blend(self._handle, blend._handle, number))
            self._blend = blend.info

    def decode(
        self,
        *,
        max_rows: int = 0,
        all_logits: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Compute the pending tokens; see the function `decode` for many sessions at once."""
        decode([self], max_rows=max_rows, all_logits=all_logits, progress=progress, cancel=cancel)

    def logits(self, position: int = -1, *, copy: bool = True) -> memoryview[float]:
        """Return the model's own logits after a position, one per token of the vocabulary.

        Parameters
        ----------
        position
            0 is the first token, −1 the last one computed. Only the last position of a decode has logits, or all of
            its positions with `all_logits`.
        copy
            False: a view of the session's own memory. Every call that changes the session (append, rewind, set_blend,
            generate, begin, decode, next, close) releases it, and raises BufferError and changes nothing else while
            something made of it is in use: a slice, a NumPy array.

        Returns
        -------
            Floats, read-only where not copied. `numpy.asarray` makes an array of it without copying.
        """
        values, count = POINTER(c_float)(), c_size_t()
        with _Use(self):
            check(C.bsoup_session_logits(self._handle, position, byref(values), byref(count)))
            borrowed = view(values, count.value, c_float, "f", self)
            if copy:
                return memoryview(bytearray(borrowed)).cast("f")
            borrowed = borrowed.toreadonly()
            self._views.append((weakref.ref(borrowed), weakref.ref(borrowed.obj)))
            return borrowed

    def generate(self, prompt: Prompt = "", **how: Unpack[GenerateOptions]) -> Generation:
        """Append the prompt, generate until a stop, and keep all in the session for the next turn.

        On a failure or a cancel the session keeps what it has and can go on.
        """
        if not isinstance(prompt, str):
            self.append(prompt)
            prompt = ""
        text, callbacks, result = prompt.encode(), Callbacks(), GenerationHandle()
        wish = generate_options(how, callbacks)
        with LongCall(how.get("cancel")) as call, _Use(self, changes=True):
            wish.cancel = call.flag._handle
            status = C.bsoup_session_generate(self._handle, text, len(text), byref(wish), byref(result._pointer))
            return finished(status, result, callbacks, self._blend)

    async def generate_async(self, prompt: Prompt = "", **how: Unpack[GenerateOptions]) -> Generation:
        """`generate` on another thread. Cancelling the task stops it, and the session can go on."""

        def call(flag: Cancel) -> Generation:
            how["cancel"] = flag
            return self.generate(prompt, **how)

        return await in_thread(call, how.get("cancel"))

    def begin(self, **how: Unpack[GenerateOptions]) -> None:
        """Begin a generation for `next`: sampling, stops and limits of these options count here."""
        callbacks = Callbacks()
        wish = generate_options(how, callbacks)
        with _Use(self, changes=True):
            self._alive.append(callbacks)
            try:
                check(C.bsoup_session_begin(self._handle, byref(wish)))
            except BoneSoupError:
                self._alive.remove(callbacks)
                raise
            self._callbacks = callbacks
            self._alive = [callbacks]

    def next(self) -> Step:
        """Sample one token from the logits of the last one, append it, and return it. Call `decode` before."""
        raw = info(_structs.Step)
        with LongCall(None) if self._callbacks.used else nullcontext(), _Use(self, changes=True):
            self._callbacks.check(C.bsoup_session_next(self._handle, byref(raw)))
            return Step(
                token=raw.token,
                text=raw.text[: raw.text_size].decode() if raw.text_size else "",
                logprob=raw.logprob,
                top_logprobs=logprobs(raw.top, raw.top_count),
                finish_reason=finish_reason(raw.finish) if raw.finish else None,
            )

    @property
    def closed(self) -> bool:
        """Whether the session was closed."""
        return self._closing or super().closed

    def close(self) -> None:
        """Free the session, or let the call that is using it free it at its end."""
        if self._lock.acquire(blocking=False):
            try:
                self._take_back()
                super().close()
            finally:
                self._lock.release()
        else:
            self._closing = True
            if self._lock.acquire(blocking=False):  # that call has ended meanwhile, perhaps without seeing it
                self._release()

    def _release(self) -> None:
        """End the use of the session."""
        self._lock.release()
        if self._closing:
            with suppress(BufferError):  # then the views keep it, and it goes with them
                self._take_back()
                super().close()

    def _take_back(self) -> None:
        """Take back the views of logits, which end with a call that changes the session."""
        while self._views:
            borrowed, array = self._views[-1]
            take_back(borrowed(), array)
            self._views.pop()


class _Use:
    """The context in which this thread alone uses some sessions. What it changes must not have views."""

    def __init__(self, *sessions: Session, changes: bool = False) -> None:
        self._sessions = set(sessions)
        self._changes = changes
        self.refused: Session | None = None  # that another call is using

    def __enter__(self) -> None:
        taken: list[Session] = []
        try:
            for session in self._sessions:
                if not session._lock.acquire(blocking=False):
                    self.refused = session
                    raise error(Status.BUSY, "another call is using this session: on another thread, or one calls back")
                taken.append(session)
                if self._changes:
                    session._take_back()
        except BaseException:
            for session in taken:
                session._release()
            raise

    def __exit__(self, *exception: object) -> None:
        for session in self._sessions:
            session._release()


def finished(status: int, result: GenerationHandle, callbacks: Callbacks, blend: BlendInfo) -> Generation:
    """Return what a generating call made, or raise its exception with what was made by then."""
    generation = result.read(blend) if not result.closed else None
    result.close()
    try:
        callbacks.check(status)
    except BoneSoupError as exception:
        exception.generation = generation
        raise
    if generation is None:
        raise error(Status.INTERNAL, "a generation succeeded and made nothing")
    return generation


def generate_batch(
    sessions: Sequence[Session],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> list[Generation]:
    """Carry the generation that was begun on each of these sessions to its end, all together: many texts in one call.

    Without a `begin` it is greedy and without limits. The tokens are those of stepping with `decode` and `next`, faster
    where the model is small or the vocabulary large. A cancel ends all of them.

    Parameters
    ----------
    progress
        Gets the share of sessions that are done; returning False cancels. True: a bar on a terminal.

    Raises
    ------
        The first failure in order; its `statuses` tell what became of each session, which has what it wrote by then.
    """
    texts = [GenerationHandle() for _ in sessions]
    how = options(_structs.DecodeOptions, "bsoup_decode_options_init")

    def call(handles: Any, wish: Any) -> int:
        made = (c_void_p * len(sessions))()
        status: int = C.bsoup_generate_batch(handles, len(sessions), byref(wish), made)
        for text, pointer in zip(texts, made):
            text._pointer = c_void_p(pointer)
        return status

    try:
        _together(sessions, how, call, progress, "writing", cancel)
        return [text.read(session._blend) for text, session in zip(texts, sessions)]
    finally:
        for text in texts:
            text.close()


def decode(
    sessions: Sequence[Session],
    *,
    max_rows: int = 0,
    all_logits: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Compute the pending tokens of all these sessions together, prefill and decode mixed, each with its own blend.

    One without pending tokens is left as it is. A cancel leaves each session with the positions that were computed
    whole: decode again to go on.

    Parameters
    ----------
    max_rows
        Positions to compute at most in this call, shared fairly; 0: all that are pending.
    all_logits
        Keep the logits of every position computed by this call, not of the last only.
    progress
        Gets the share done; returning False cancels. True: a bar on a terminal.

    Raises
    ------
        The first failure in order; its `statuses` tell what became of each session.
    """
    wish = options(_structs.DecodeOptions, "bsoup_decode_options_init")
    put(wish, "max_rows", max_rows, "max_rows")
    wish.all_logits = all_logits

    def call(handles: Any, wish: Any) -> int:
        status: int = C.bsoup_decode(handles, len(sessions), byref(wish))
        return status

    _together(sessions, wish, call, progress, "computing", cancel)


def _together(
    sessions: Sequence[Session],
    wish: Any,
    function: Callable[[Any, Any], int],
    progress: Progress | None,
    title: str,
    cancel: Cancel | None,
) -> None:
    """Call a function of the library for many sessions, and say in its exception what became of each."""
    callbacks, statuses = Callbacks(), (c_int32 * len(sessions))()
    wish.statuses = statuses
    wish.progress = callbacks.progress(progress, title)
    use, bad = _Use(*sessions, changes=True), None
    try:
        with LongCall(cancel) as call, use:
            wish.cancel = call.flag._handle
            handles = (c_void_p * len(sessions))()
            for index, session in enumerate(sessions):
                if session.closed:
                    bad = session
                handles[index] = session._handle.value
            callbacks.check(function(handles, wish))
    except BoneSoupError as exception:
        bad = bad or use.refused
        if bad is None:
            exception.statuses = tuple(map(known, statuses))
        else:  # the library was not asked
            exception.statuses = tuple(exception.status if one is bad else Status.NOT_READY for one in sessions)
        raise
