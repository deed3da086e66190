"""What goes wrong: one exception per status of bonesoup.h, all of them `BoneSoupError`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonesoup.generation import Generation


class Status(enum.IntEnum):
    """The numbers of bonesoup.h, without their prefix."""

    OK = 0
    INVALID_ARGUMENT = 1
    OUT_OF_MEMORY = 2
    NOT_FOUND = 3
    IO = 4
    MALFORMED = 5
    UNSUPPORTED = 6
    MISMATCH = 7
    CANCELLED = 8
    BUSY = 9
    CONTEXT_FULL = 10
    STALE_HANDLE = 11
    GUARD_RAIL = 12
    UNSOLVABLE = 13
    NOT_READY = 14
    CHECKSUM = 15
    FORKED = 16
    INTERNAL = 17


class BoneSoupError(Exception):
    """A call that failed: which value, in which file and tensor, and what to do.

    Attributes
    ----------
    status
        The kind of failure; each has a subclass of its own.
    message
        The library's sentence on it.
    generation
        Where a generation failed or was cancelled on the way, what it had written by then; else None.
    statuses
        Where many texts were computed together (`decode`, `generate_many`), what became of each: OK where it was
        computed, NOT_READY where it was in order and nothing was computed; else None.
    """

    generation: Generation | None = None
    statuses: tuple[Status, ...] | None = None

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class InvalidArgumentError(BoneSoupError, ValueError):
    """A value is out of its range or of the wrong form."""


class OutOfMemoryError(BoneSoupError, MemoryError):
    """The system or the engine's budget refused."""


class NotFoundError(BoneSoupError, LookupError):
    """No file, tensor, objective or preset of that name."""


class FileReadError(BoneSoupError):
    """The operating system failed to read."""


class MalformedError(BoneSoupError):
    """A file breaks its format."""


class UnsupportedError(BoneSoupError):
    """Valid, and this version does not do it."""


class MismatchError(BoneSoupError):
    """Parts that do not belong together: shapes, vocabularies, fingerprints."""


class CancelledError(BoneSoupError):
    """Cancelled by a `Cancel` or from a callback."""


class BusyError(BoneSoupError):
    """Another thread, or the call that calls back, is using the object."""


class ContextFullError(BoneSoupError):
    """The session has no room for the tokens."""


class StaleHandleError(BoneSoupError):
    """The object was closed."""


class GuardRailError(BoneSoupError):
    """The preference or its coefficients break a guard rail."""


class UnsolvableError(BoneSoupError):
    """No coefficients give this preference."""


class NotReadyError(BoneSoupError):
    """Still being made, or nothing computed yet."""


class ChecksumError(BoneSoupError):
    """A file differs from its checksum in soup.json."""


class ForkedError(BoneSoupError):
    """The process was forked after it had used the library."""


class InternalError(BoneSoupError):
    """A fault of the library: please report it."""


_CLASSES: dict[Status, type[BoneSoupError]] = {
    Status.INVALID_ARGUMENT: InvalidArgumentError,
    Status.OUT_OF_MEMORY: OutOfMemoryError,
    Status.NOT_FOUND: NotFoundError,
    Status.IO: FileReadError,
    Status.MALFORMED: MalformedError,
    Status.UNSUPPORTED: UnsupportedError,
    Status.MISMATCH: MismatchError,
    Status.CANCELLED: CancelledError,
    Status.BUSY: BusyError,
    Status.CONTEXT_FULL: ContextFullError,
    Status.STALE_HANDLE: StaleHandleError,
    Status.GUARD_RAIL: GuardRailError,
    Status.UNSOLVABLE: UnsolvableError,
    Status.NOT_READY: NotReadyError,
    Status.CHECKSUM: ChecksumError,
    Status.FORKED: ForkedError,
    Status.INTERNAL: InternalError,
}


def known(status: int) -> Status:
    """Return the status; a number that this package does not know is INTERNAL."""
    return Status(status) if status == Status.OK or status in _CLASSES else Status.INTERNAL


def error(status: int, message: str) -> BoneSoupError:
    """Return the exception for a status other than OK."""
    kind = known(status)
    return _CLASSES[kind](kind, message)
