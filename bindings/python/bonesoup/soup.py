"""Soups: a base, its backbones, and the objectives that they were trained on."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from ctypes import POINTER, byref, c_double, c_int32, c_size_t, c_uint64
from typing import TYPE_CHECKING

from bonesoup import _constants, _structs, generate
from bonesoup._asynchronous import in_thread, pieces
from bonesoup._callbacks import Callbacks, OnText, Progress
from bonesoup._convert import doubles, info
from bonesoup._exporting import ExportOptions, Vectors, export_point, export_size, factor
from bonesoup._files import FileSource, open_options
from bonesoup._handle import check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import blend_options, choice_key, split
from bonesoup.blend import Blend
from bonesoup.blend_info import BlendInfo, from_raw
from bonesoup.building import Load, OpenOptions, SoupBuilding, Verification
from bonesoup.cancel import Cancel
from bonesoup.comparison import Comparison, compare
from bonesoup.engine import Engine
from bonesoup.errors import Status, error
from bonesoup.factoring import Factoring
from bonesoup.generation import Generation
from bonesoup.options import BlendChoice, Format, GenerateOptions, Preference, Prompt, Request
from bonesoup.session import Session
from bonesoup.soup_info import (
    Backbone,
    Objective,
    SoupInfo,
    raw_soup,
    read_backbone,
    read_objective,
    read_preset,
    read_soup,
)
from bonesoup.soup_text import SoupText

if TYPE_CHECKING:
    from typing_extensions import Buffer

    if sys.version_info >= (3, 12):
        from typing import Unpack
    else:
        from typing_extensions import Unpack


class Soup(SoupBuilding, SoupText):
    """One base language model and a few backbones: fine-tunes of it, each trained on another mix of rewards.

    >>> with Soup.open("my-soup") as soup:
    ...     print(soup.generate("Once upon a time", preference={"brief": 0.7, "happy": 0.3}).text)

    It may be used from any number of threads at once. Blends and sessions made from it stay usable after `close`.
    """

    _free = C.bsoup_soup_free
    _kind = "soup"

    def __init__(self) -> None:
        self._borrowed: list[object] = []
        self._reading = threading.RLock()  # held while strings of the library's are copied, and to close
        super().__init__((self._borrowed,))
        self._context = 0  # positions that the model was made for
        self._names: list[str] | None = None  # of the objectives
        self._recent: tuple[object, Blend] | None = None  # the blend of the last call that made one by the way

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        weights: Format | None = None,
        threads: int | None = None,
        engine: Engine | None = None,
        load: Load = "map",
        verify: Verification | Iterable[Verification] = (),
        files: Mapping[str, Buffer | FileSource] | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Soup:
        """Open a soup: a folder with a soup.json, a JSON file of any name, or a plain model folder.

        Parameters
        ----------
        path
            Model folders are Hugging Face's (config.json, safetensors, tokenizer.json); a backbone may be a PEFT
            LoRA folder.
        weights
            The run-time format; None: the base file's own.
        threads
            Makes an engine of so many threads for this soup.
        engine
            Where the soup lives; None: the process's default engine.
        load
            "map": files are memory-mapped, and used in place where the format allows. "copy": they are read into
            memory, and may change or vanish afterwards.
        verify
            "checksums": compare every file that soup.json gives a checksum for. "finite": look for NaN and infinities.
        files
            Files by name, instead of the file system; `path` then names one of them, or a folder. `bytes` and writable
            buffers are used in place, other buffers are copied. An object with `size` and `read_at(offset, size)`, or
            an open binary file (`seek`, `readinto`), is read during the call.
        progress
            Gets the share done; returning False cancels. True: a bar on standard error, where that is a terminal.
        """
        if threads is not None:
            if engine is not None:
                raise error(Status.INVALID_ARGUMENT, "threads and engine exclude each other")
            engine = Engine(threads)
        soup, callbacks = cls(), Callbacks()
        wish, borrowed = open_options(callbacks, weights, load, verify, files, progress)
        soup._borrowed += [borrowed, engine]
        home = None if engine is None else engine._handle
        with LongCall(cancel) as call:
            wish.cancel = call.flag._handle
            callbacks.check(C.bsoup_soup_open(home, os.fsencode(path), byref(wish), byref(soup._pointer)))
        soup._context = soup.info.context
        return soup

    def close(self) -> None:
        """Free the soup. Blends and sessions made from it stay usable."""
        self._recent = None
        with self._reading:
            super().close()

    @classmethod
    async def open_async(cls, path: str | os.PathLike[str], **how: Unpack[OpenOptions]) -> Soup:
        """`open` on another thread; takes the same arguments. Cancelling the task stops it."""

        def call(flag: Cancel) -> Soup:
            how["cancel"] = flag
            return cls.open(path, **how)

        return await in_thread(call, how.get("cancel"))

    # Blends.

    def blend(
        self,
        *,
        background: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choice: Unpack[BlendChoice],
    ) -> Blend:
        """Make a blend.

        Parameters
        ----------
        background
            A fold goes on after the call returns: see `Blend.wait`.
        progress
            Gets the share of a fold; returning False cancels. True: a bar on a terminal. In the background it runs on a
            thread of the library.
        cancel
            Of a fold, also one in the background.
        """
        return Blend(self, choice, background=background, progress=progress, cancel=cancel)

    def solve(self, **choice: Unpack[BlendChoice]) -> BlendInfo:
        """Return what `blend` would make, and make nothing. Its `memory` is what the blend would take."""
        wish, raw, names = blend_options(choice), info(_structs.BlendInfo), self._objective_names()
        preference, coefficients = (c_double * _constants.LIMIT)(), (c_double * _constants.LIMIT)()
        check(C.bsoup_soup_solve(self._handle, byref(wish), preference, coefficients, byref(raw)))
        return from_raw(raw, names, preference[: raw.objective_count], coefficients[: raw.backbone_count])

    def blend_memory(self, **choice: Unpack[BlendChoice]) -> int:
        """Return the bytes of large memory that `blend` would take."""
        count = c_uint64()
        check(C.bsoup_blend_memory(self._handle, byref(blend_options(choice)), byref(count)))
        return count.value

    def move_slider(self, preference: Preference, objective: str, value: float) -> dict[str, float]:
        """Return the preference after one slider moved; the other objectives share the rest in their proportions."""
        names = self._objective_names()
        if objective not in names:
            raise error(Status.NOT_FOUND, f"no objective {objective!r} among {', '.join(names)}")
        if isinstance(preference, Mapping):
            unknown = sorted(set(preference) - set(names))
            if unknown:
                raise error(Status.NOT_FOUND, f"no objective {unknown[0]!r} among {', '.join(names)}")
            preference = [preference.get(name, 0.0) for name in names]
        parts = doubles(preference)
        check(C.bsoup_soup_move_slider(self._handle, parts, len(parts), names.index(objective), value))
        return dict(zip(names, parts))

    # Generating.

    def generate(self, prompt: Prompt, *, blend: Blend | None = None, **request: Unpack[Request]) -> Generation:
        """Return the text that follows the prompt, on a blend or at the point that the request says.

        The blend that is made for a call is kept for the next one at the same point, as a fold takes time; `close`
        lets it go.
        """
        choice, how, rest = split(request, "generate()")
        return self._at(blend, choice, how).generate(prompt, **rest, **how)

    def stream(self, prompt: Prompt, *, blend: Blend | None = None, **request: Unpack[Request]) -> Iterator[str]:
        """Return an iterator over the pieces of the text that follows the prompt, as they are written."""
        choice, how, rest = split(request, "stream()")
        return self._at(blend, choice, how).stream(prompt, **rest, **how)

    async def generate_async(
        self, prompt: Prompt, *, blend: Blend | None = None, **request: Unpack[Request]
    ) -> Generation:
        """`generate` on another thread. Cancelling the task stops it."""

        def call(flag: Cancel) -> Generation:
            request["cancel"] = flag
            return self.generate(prompt, blend=blend, **request)

        return await in_thread(call, request.get("cancel"))

    def stream_async(
        self, prompt: Prompt, *, blend: Blend | None = None, **request: Unpack[Request]
    ) -> AsyncGenerator[str, None]:
        """Return an asynchronous iterator over the pieces of the text; leaving it, or the task's end, stops the work.

        The text is written on another thread, a few pieces ahead of whoever reads.
        """

        def call(flag: Cancel, on_text: OnText) -> None:
            request["cancel"] = flag
            request["on_text"] = on_text
            self.generate(prompt, blend=blend, **request)

        return pieces(call, request.get("cancel"))

    async def generate_many_async(
        self, prompts: Sequence[Prompt], preferences: Sequence[Preference] | None = None, **request: Unpack[Request]
    ) -> list[Generation]:
        """`generate_many` on another thread. Cancelling the task stops it."""

        def call(flag: Cancel) -> list[Generation]:
            request["cancel"] = flag
            return self.generate_many(prompts, preferences, **request)

        return await in_thread(call, request.get("cancel"))

    def generate_many(
        self,
        prompts: Sequence[Prompt],
        preferences: Sequence[Preference] | None = None,
        *,
        blends: Sequence[Blend] | None = None,
        **request: Unpack[Request],
    ) -> list[Generation]:
        """Return the texts that follow the prompts, stepped together.

        Parameters
        ----------
        preferences
            One per prompt; without it, all texts are written at the point that the request says.
        blends
            One per prompt, instead.
        """
        choice, how, rest = split(request, "generate_many()")
        for name, given in (("preferences", preferences), ("blends", blends)):
            if given is not None and len(given) != len(prompts):
                raise error(Status.INVALID_ARGUMENT, f"{len(prompts)} prompts and {len(given)} {name}")
        if blends is None:
            made: dict[object, Blend] = {}
            blends = []
            for choice in [BlendChoice(**{**choice, "preference": one}) for one in preferences or ()]:
                key = choice_key(choice)
                made[key] = made.get(key) or self._made(choice, how)
                blends.append(made[key])
            blends = blends or [self._at(None, choice, how)] * len(prompts)
        return generate.many(blends, prompts, how, rest.get("context", 0), rest.get("kv_format"))

    def session(
        self,
        *,
        blend: Blend | None = None,
        context: int = 0,
        kv_format: Format | None = None,
        **choice: Unpack[BlendChoice],
    ) -> Session:
        """Return a new session on a blend, or at the point that is chosen; see `Blend.session`."""
        return self._at(blend, choice, {}).session(context=context, kv_format=kv_format)

    def _at(self, blend: Blend | None, choice: BlendChoice, how: GenerateOptions) -> Blend:
        if blend is not None:
            if choice_key(choice) != ():
                raise error(Status.INVALID_ARGUMENT, f"blend and {next(iter(choice))} exclude each other")
            return blend
        key, recent = choice_key(choice), self._recent
        if recent and recent[0] == key and not recent[1].closed and not self.closed:
            return recent[1]
        made = self._made(choice, how)
        self._recent = key, made
        return made

    def _made(self, choice: BlendChoice, how: GenerateOptions) -> Blend:
        """Make the blend of a call that generates: its cancel flag and its bar count here too."""
        return self.blend(**choice, progress=how.get("progress") is True, cancel=how.get("cancel"))

    # Files.

    def export(
        self, path: str | os.PathLike[str], *, point: BlendChoice | None = None, **how: Unpack[ExportOptions]
    ) -> Factoring | None:
        """Write a blend for other engines without making it, so that nothing is folded in memory; see `Blend.export`.

        Parameters
        ----------
        point
            The arguments that `blend` would take, as `{"preference": {"brief": 0.7, "happy": 0.3}}`.
        """
        return export_point(self._handle, blend_options(point or {}), path, how)

    def export_size(self, *, point: BlendChoice | None = None, **how: Unpack[ExportOptions]) -> int:
        """Return the bytes of tensors that `export` would write."""
        return export_size(self._handle, blend_options(point or {}), how)

    def factor(
        self,
        backbone: int,
        path: str | os.PathLike[str],
        *,
        rank: int | None = None,
        max_error: float = 0.1,
        format: Format | None = None,
        vectors: Vectors = "refuse",
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Factoring:
        """Write a full backbone as a PEFT LoRA folder, so that it can be live, and return what is lost.

        Parameters
        ----------
        rank
            Of every matrix, at most; None: the smallest that keeps to `max_error`.
        max_error
            ‖Δ − UD‖ / ‖Δ‖ of each matrix, where no rank is given.
        format
            Of the file; None: f32.
        vectors
            Norms and biases that differ from the base's: "refuse" names one in an error; "drop" leaves them as in the
            base and reports them as lost.
        """
        return factor(
            self._handle,
            backbone,
            path,
            rank=rank,
            max_error=max_error,
            format=format,
            vectors=vectors,
            progress=progress,
            cancel=cancel,
        )

    def compare(self, *, progress: Progress | None = None, cancel: Cancel | None = None) -> Comparison:
        """Return how the backbones change the base, and how much they agree, tensor by tensor."""
        names = [backbone.path for backbone in self.backbones]
        return compare(self._handle, names, progress, cancel)

    # Inspecting.

    @property
    def info(self) -> SoupInfo:
        """The base's shape, and the soup's limits."""
        with self._reading:
            return read_soup(self._handle)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is rewarded."""
        with self._reading:
            handle = self._handle
            return tuple(read_objective(handle, index) for index in range(raw_soup(handle).objective_count))

    def _objective_names(self) -> list[str]:
        names = self._names
        if names is None:
            names = self._names = [objective.name for objective in self.objectives]
        return names

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The fine-tunes."""
        with self._reading:
            handle = self._handle
            return tuple(read_backbone(handle, index) for index in range(raw_soup(handle).backbone_count))

    @property
    def presets(self) -> dict[str, Mapping[str, float]]:
        """Preferences that have a name."""
        with self._reading:
            handle, names = self._handle, self._objective_names()
            return dict(read_preset(handle, index, names) for index in range(raw_soup(handle).preset_count))

    @property
    def matrix(self) -> tuple[tuple[float, ...], ...] | None:
        """The backbone matrix; None where none is set."""
        raw = raw_soup(self._handle)
        rows, columns = raw.backbone_count, raw.objective_count
        values = (c_double * (rows * columns))()
        status = C.bsoup_soup_matrix(self._handle, values, len(values))
        if status == Status.NOT_FOUND:
            return None
        check(status)
        return tuple(tuple(values[row * columns : (row + 1) * columns]) for row in range(rows))

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """The model's end tokens."""
        values, count = POINTER(c_int32)(), c_size_t()
        with self._reading:
            check(C.bsoup_soup_end_tokens(self._handle, byref(values), byref(count)))
            return tuple(values[: count.value]) if count.value else ()
