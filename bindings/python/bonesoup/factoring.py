"""What making matrices low-rank has lost."""

from __future__ import annotations

import dataclasses
from ctypes import byref

from bonesoup import _structs
from bonesoup._convert import info
from bonesoup._handle import Handle, check
from bonesoup._library import C


@dataclasses.dataclass(frozen=True)
class FactoredTensor:
    """The change Δ of one tensor, and what an adapter's file keeps of it."""

    # As in the base's files.
    name: str
    # (rows, columns); a vector is one row.
    shape: tuple[int, int]
    # Ranks in use; 0 for a vector that is dropped.
    rank: int
    # ‖Δ‖, Frobenius.
    norm: float
    # ‖Δ − what the file holds‖ / ‖Δ‖, measured.
    error: float


@dataclasses.dataclass(frozen=True)
class Factoring:
    """An adapter that was written, and what it has lost."""

    # Of every module in the file.
    rank: int
    # Over all tensors: √(Σ ‖lost‖² / Σ ‖Δ‖²).
    error: float
    tensors: tuple[FactoredTensor, ...]


class FactoringHandle(Handle):
    """The library's own, read once and freed."""

    _free = C.bsoup_factoring_free
    _kind = "factoring"

    def read(self) -> Factoring:
        """Return what it holds."""
        raw = info(_structs.FactoringInfo)
        check(C.bsoup_factoring_get_info(self._handle, byref(raw)))
        return Factoring(raw.rank, raw.error, tuple(map(self._tensor, range(raw.tensor_count))))

    def _tensor(self, index: int) -> FactoredTensor:
        raw = info(_structs.FactoredTensor)
        check(C.bsoup_factoring_tensor(self._handle, index, byref(raw)))
        return FactoredTensor(raw.name.decode(), (raw.rows, raw.columns), raw.rank, raw.norm, raw.error)
