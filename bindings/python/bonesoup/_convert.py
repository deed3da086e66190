"""Python's values as the fields of C structures, none of them cut short silently as ctypes would."""

from __future__ import annotations

import ctypes
import operator
from array import array
from collections.abc import Iterable, Mapping
from ctypes import c_double, c_float, c_int32, c_uint32
from typing import Any

from bonesoup._library import C
from bonesoup.errors import Status, error


def options(structure: Any, initialise: str) -> Any:
    """Return the defaults of an option structure."""
    value = structure()
    getattr(C, initialise)(ctypes.byref(value), ctypes.sizeof(value))
    return value


def info(structure: Any) -> Any:
    """Return an info structure that is ready to be filled."""
    value = structure()
    value.struct_size = ctypes.sizeof(value)
    return value


def put(structure: Any, field: str, value: int, name: str) -> None:
    """Set a whole-number field; `name` is what the caller calls it."""
    value = operator.index(value)
    setattr(structure, field, value)
    if getattr(structure, field) != value:
        raise error(Status.INVALID_ARGUMENT, f"{name} = {value} is out of its range")


def word(words: Mapping[str, int], value: str, name: str) -> int:
    """Return the number of a word."""
    if value not in words:
        raise error(Status.INVALID_ARGUMENT, f"{name} = {value!r} is none of {', '.join(words)}")
    return words[value]


def name_of(words: Mapping[str, int], value: int) -> str:
    """Return the word of a number, or the number itself where this package does not know it."""
    return next((name for name, number in words.items() if number == value), str(value))


def names_of(words: Mapping[str, int], flags: int) -> tuple[str, ...]:
    """Return the words of flags."""
    return tuple(name for name, flag in words.items() if flags & flag)


def _fill(kind: Any, values: Any) -> Any:
    return (kind * len(values)).from_buffer(values) if len(values) else (kind * 0)()


def tokens(values: Iterable[int]) -> Any:
    """Return token numbers as a C array."""
    return _fill(c_int32, array("i", values))


def doubles(values: Iterable[float]) -> Any:
    """Return numbers as a C array of doubles."""
    return _fill(c_double, array("d", values))


def floats(values: Iterable[float]) -> Any:
    """Return numbers as a C array of floats."""
    return _fill(c_float, array("f", values))


def unsigned(values: Iterable[int]) -> Any:
    """Return numbers as a C array of 32-bit unsigned ones."""
    return _fill(c_uint32, array("I", values))
