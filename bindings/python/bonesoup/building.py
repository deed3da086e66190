"""Building a soup call by call: open a base, then add to it; the matrix and the extrapolation last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from ctypes import byref, c_uint32
from typing import TYPE_CHECKING, Literal, TypedDict

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks, Progress
from bonesoup._convert import doubles, options, word
from bonesoup._files import FileSource, open_options
from bonesoup._handle import Handle, check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import method_options
from bonesoup.blend import Blend
from bonesoup.cancel import Cancel
from bonesoup.engine import Engine
from bonesoup.errors import Status, error
from bonesoup.options import Format, MethodChoice

if TYPE_CHECKING:
    from typing_extensions import Buffer

Load = Literal["map", "copy"]
Verification = Literal["checksums", "finite"]


class OpenOptions(TypedDict, total=False):
    """The keyword arguments of `Soup.open`."""

    weights: Format | None
    threads: int | None
    engine: Engine | None
    load: Load
    verify: Verification | Iterable[Verification]
    files: Mapping[str, Buffer | FileSource] | None
    progress: Progress | None
    cancel: Cancel | None


class SoupBuilding(Handle):
    """The part of `Soup` that changes it. Blends that exist keep the soup as it was."""

    _borrowed: list[object]
    _names: list[str] | None
    _recent: tuple[object, Blend] | None

    def add_backbone(
        self,
        path: str | os.PathLike[str],
        *,
        load: Load = "map",
        verify: Verification | Iterable[Verification] = (),
        files: Mapping[str, Buffer | FileSource] | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Add a fine-tune of the base, a full checkpoint or a PEFT LoRA folder, and return its number.

        The parameters are those of `open`. Drops the matrix and the extrapolation.
        """
        callbacks, index = Callbacks(), c_uint32()
        wish, borrowed = open_options(callbacks, None, load, verify, files, progress)
        self._borrowed.append(borrowed)
        with LongCall(cancel) as call:
            wish.cancel = call.flag._handle
            status = C.bsoup_soup_add_backbone(self._handle, os.fsencode(path), byref(wish), byref(index))
            callbacks.check(status)
        self._recent = None
        return index.value

    def add_objective(
        self,
        name: str,
        *,
        label: str | None = None,
        description: str | None = None,
        default: float | None = None,
        minimum: float = 0.0,
        maximum: float = 1.0,
        step: float = 0.01,
    ) -> int:
        """Add an objective and return its number. Drops the matrix and the extrapolation.

        Parameters
        ----------
        default
            Its part of the preference when none is given.
        minimum, maximum
            Guard rails on its part.
        step
            Of a slider.
        """
        wish, index = options(_structs.ObjectiveOptions, "bsoup_objective_options_init"), c_uint32()
        wish.name = name.encode()
        wish.label = None if label is None else label.encode()
        wish.description = None if description is None else description.encode()
        if default is not None:
            wish.has_default, wish.default_weight = 1, default
        wish.minimum, wish.maximum, wish.step = minimum, maximum, step
        check(C.bsoup_soup_add_objective(self._handle, byref(wish), byref(index)))
        self._names = None
        self._recent = None
        return index.value

    def set_matrix(self, matrix: Sequence[Sequence[float]]) -> None:
        """Set the backbone matrix: row i is the reward mix that backbone i was trained on."""
        rows = [list(row) for row in matrix]
        columns = len(rows[0]) if rows else 0
        if any(len(row) != columns for row in rows):
            raise error(Status.INVALID_ARGUMENT, "the rows of the matrix are not equally long")
        values = doubles(value for row in rows for value in row)
        check(C.bsoup_soup_set_matrix(self._handle, values, len(rows), columns))
        self._recent = None

    def set_bone_matrix(self, beta: float) -> None:
        """Set Bone Soup's rule: beta on the diagonal, the rest equal. 1 is Rewarded Soup."""
        check(C.bsoup_soup_set_bone_matrix(self._handle, beta))
        self._recent = None

    def set_extrapolation(self, factors: Sequence[float]) -> None:
        """Set one stretch factor ≥ 1 per objective."""
        values = doubles(factors)
        check(C.bsoup_soup_set_extrapolation(self._handle, values, len(values)))
        self._recent = None

    def set_method(self, method: str | MethodChoice | None) -> None:
        """Set how blends are made that do not say it themselves; None: by the plain sum, as "linear"."""
        check(C.bsoup_soup_set_method(self._handle, None if method is None else byref(method_options(method))))
        self._recent = None

    def set_guard(self, max_abs_coefficient: float = 0.0, on_violation: Literal["reject", "clamp"] = "reject") -> None:
        """Limit |coefficient| (0: no limit), and say what to do with a preference outside the objectives' limits."""
        number = word(_constants.GUARDS, on_violation, "on_violation")
        check(C.bsoup_soup_set_guard(self._handle, max_abs_coefficient, number))
        self._recent = None
