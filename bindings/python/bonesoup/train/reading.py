"""Checked reading of YAML: errors name the file, the key, the value and what is needed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error

_REQUIRED: Any = object()


def read_yaml(path: Path) -> object:
    """Read a YAML file."""
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise error(Status.UNSUPPORTED, f"{path.name} needs PyYAML: pip install 'bonesoup[train]'") from None
    with open(path, encoding="utf-8") as file:
        try:
            return yaml.safe_load(file)
        except (yaml.YAMLError, UnicodeDecodeError) as failure:
            raise error(Status.MALFORMED, f"{path} is not YAML: {' '.join(str(failure).split())}") from None


class Reader:
    """One mapping of a file, and where it stands there."""

    def __init__(self, file: str, raw: object, place: str = "") -> None:
        self._file, self._place = file, place
        if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
            raise error(Status.MALFORMED, f"{file}: {place or 'the file'} must be names with values")
        self._raw: Mapping[str, Any] = raw

    def wrong(self, key: str, text: str) -> Exception:
        """Return the error that says what `key` is and what is needed."""
        return error(Status.MALFORMED, f"{self._file}: {self._name(key)} is {text}")

    def only(self, *keys: str) -> None:
        """Refuse keys that nobody reads."""
        for key in self._raw:
            if key not in keys:
                known = ", ".join(keys)
                raise error(Status.MALFORMED, f"{self._file}: {self._name(key)} is not known; there are {known}")

    def has(self, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._raw

    def raw(self, key: str, default: Any = _REQUIRED) -> Any:
        """Return a value as it stands."""
        if key in self._raw:
            return self._raw[key]
        if default is _REQUIRED:
            raise error(Status.MALFORMED, f"{self._file}: {self._name(key)} is missing")
        return default

    def part(self, key: str, default: Any = _REQUIRED) -> Reader:
        """Return a mapping within."""
        return Reader(self._file, self.raw(key, default), self._name(key))

    def items(self, key: str) -> list[Reader]:
        """Return a list of mappings, at least one."""
        found = self.raw(key)
        if not isinstance(found, list) or not found:
            raise self.wrong(key, f"{found!r}; a list of at least one is needed")
        return [Reader(self._file, item, f"{self._name(key)}[{number}]") for number, item in enumerate(found)]

    def distinct(self, key: str, names: Sequence[str]) -> None:
        """Refuse a name that stands twice."""
        for name in names:
            if names.count(name) > 1:
                raise error(Status.MALFORMED, f"{self._file}: {self._name(key)} names {name} twice")

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return parameters by name, none where the key is absent."""
        found = self.raw(key, None)
        if found is None:
            return {}
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise self.wrong(key, f"{found!r}; names with values are needed")
        return found

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """Return a text that is not empty."""
        found = self.raw(key, default)
        if not isinstance(found, str) or not found:
            raise self.wrong(key, f"{found!r}; a text is needed")
        return found

    def maybe_text(self, key: str) -> str | None:
        """Return a text, or None where the key is absent."""
        return self.text(key) if self.has(key) else None

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        found = self.raw(key, default)
        if not isinstance(found, bool):
            raise self.wrong(key, f"{found!r}; true or false is needed")
        return found

    def whole(self, key: str, default: int, least: int) -> int:
        """Return a whole number of `least` or more."""
        found = self.raw(key, default)
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            raise self.wrong(key, f"{found!r}; a whole number of {least} or more is needed")
        return found

    def number(self, key: str, default: float, *, above: float) -> float:
        """Return a finite number above a bound."""
        found = self.raw(key, default)
        try:
            # YAML 1.1 reads 1e-3 as a text.
            value = math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value) or value <= above:
            raise self.wrong(key, f"{found!r}; a number above {above:g} is needed")
        return value

    def maybe_number(self, key: str, *, above: float) -> float | None:
        """Return a finite number above a bound, or None where the key is absent."""
        return self.number(key, 0.0, above=above) if self.raw(key, None) is not None else None

    def _name(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key
