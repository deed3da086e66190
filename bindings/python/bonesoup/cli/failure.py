"""How the command ends when something goes wrong."""

from __future__ import annotations

import importlib.util

from bonesoup.errors import BoneSoupError, Status

# docs/command-line.md has this table.
_BY_STATUS = {
    Status.INVALID_ARGUMENT: 2,
    Status.NOT_FOUND: 3,
    Status.IO: 4,
    Status.MALFORMED: 5,
    Status.CHECKSUM: 5,
    Status.UNSUPPORTED: 6,
    Status.MISMATCH: 7,
    Status.GUARD_RAIL: 8,
    Status.UNSOLVABLE: 8,
    Status.OUT_OF_MEMORY: 9,
    Status.CONTEXT_FULL: 10,
    Status.CANCELLED: 130,
}
_OTHER = 70


class UsageError(Exception):
    """An option that cannot be understood."""


def need(extra: str, what: str, *modules: str) -> None:
    """Refuse, in one line, where modules of an extra are not installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"{what} needs {' and '.join(missing)}: pip install 'bonesoup[{extra}]'")


class FormatError(Exception):
    """A file that the command itself reads, and that breaks its format."""


def exit_status(failure: BaseException) -> int:
    """Return the exit status for a failure; a fault of this program is raised again."""
    if isinstance(failure, KeyboardInterrupt):
        return 130
    if isinstance(failure, BoneSoupError):
        return _BY_STATUS.get(failure.status, _OTHER)
    # Output replaces what it cannot show, so that only an argument's broken UTF-8 gets here.
    if isinstance(failure, (UsageError, UnicodeEncodeError)):
        return 2
    if isinstance(failure, FormatError):
        return _BY_STATUS[Status.MALFORMED]
    if isinstance(failure, FileNotFoundError):
        return 3
    if isinstance(failure, OSError):
        return 4
    raise failure


def sentence(failure: BaseException) -> str:
    """Return a failure in one line."""
    text = "interrupted" if isinstance(failure, KeyboardInterrupt) else str(failure)
    if isinstance(failure, UnicodeEncodeError):
        text = "an argument is not UTF-8"
    if isinstance(failure, OSError) and failure.filename is not None and failure.strerror:
        text = f"{failure.filename}: {failure.strerror}"
    return " ".join(text.split())
