"""Reads mergekit's YAML."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Mapping
from typing import Any, cast

from bonesoup.errors import Status, error
from bonesoup.options import Format, Layers, Setting

_FORMATS: dict[str, Format] = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_KEYS = {
    "merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source", "name",
    "seed",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MergeConfig:
    """What `merge` takes, from a file."""

    method: str
    base: str | None
    models: tuple[str, ...]
    settings: tuple[Setting, ...]
    # Of each model; None: whole models.
    layers: tuple[Layers, ...] | None
    # The result's; arithmetic is always in f32.
    format: Format | None
    seed: int


def read_config(path: str) -> MergeConfig:
    """Read a file; paths in it that exist beside it are taken from there."""
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise error(
            Status.UNSUPPORTED, "mergekit's YAML needs PyYAML: pip install pyyaml, or bonesoup[merge]"
        ) from None
    with open(path, encoding="utf-8") as file:
        try:
            raw = yaml.safe_load(file)
        except yaml.YAMLError as failure:
            raise error(Status.MALFORMED, f"{path} is not YAML: {' '.join(str(failure).split())}") from None
    return _Reader(path).config(raw)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path

    def _wrong(self, text: str, status: Status = Status.MALFORMED) -> Exception:
        return error(status, f"{self._path}: {text}")

    def config(self, raw: object) -> MergeConfig:
        top = self._mapping(raw, "the file")
        for key in top:
            if key not in _KEYS:
                raise self._wrong(f"{key} is not supported; {', '.join(sorted(_KEYS))} are", Status.UNSUPPORTED)
        if top.get("tokenizer_source") not in (None, "base"):
            raise self._wrong(
                f"tokenizer_source is {top['tokenizer_source']!r}; the base's tokenizer is taken over, and no "
                "vocabularies are joined: leave it out. Give models of another vocabulary the base's before, as "
                "`mergekit-tokensurgeon MODEL BASE OUT` does",
                Status.UNSUPPORTED,
            )
        base = self._model(top["base_model"], "base_model") if top.get("base_model") else None
        models: list[str] = []
        settings: list[Setting] = []
        layers: list[Layers] | None = None
        if "slices" in top:
            if "models" in top:
                raise self._wrong("models or slices, and not both")
            layers = self._slices(top["slices"], models, settings)
        else:
            self._models(top.get("models"), models, settings)
        settings += self._settings(top.get("parameters"), "parameters", None)
        method = top.get("merge_method")
        if not isinstance(method, str):
            raise self._wrong("merge_method: the name of a method is needed")
        seed = top.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise self._wrong("seed: a whole number is needed")
        ranges = None if layers is None else tuple(layers)
        return MergeConfig(method, base, tuple(models), tuple(settings), ranges, self._format(top), seed)

    def _models(self, listed: object, models: list[str], settings: list[Setting]) -> None:
        """Append the models of a merge of whole ones, and their settings."""
        for index, item in enumerate(self._list(listed, "models")):
            entry = self._entry(item, f"models[{index}]", {"model", "parameters"})
            models.append(self._model(entry.get("model"), f"models[{index}].model"))
            settings += self._settings(entry.get("parameters"), f"models[{index}].parameters", index)

    def _slices(self, listed: object, models: list[str], settings: list[Setting]) -> list[Layers]:
        """Append the models of all slices, and their settings; a slice's settings are those of each of its models."""
        layers: list[Layers] = []
        for number, item in enumerate(self._list(listed, "slices")):
            place = f"slices[{number}]"
            entry = self._entry(item, place, {"sources", "parameters"})
            start = len(models)
            for index, source in enumerate(self._list(entry.get("sources"), f"{place}.sources")):
                what = f"{place}.sources[{index}]"
                given = self._entry(source, what, {"model", "layer_range", "parameters"})
                models.append(self._model(given.get("model"), f"{what}.model"))
                settings += self._settings(given.get("parameters"), f"{what}.parameters", len(models) - 1)
                layers.append(self._layers(given.get("layer_range"), f"{what}.layer_range", number))
            for model in range(start, len(models)):
                settings += self._settings(entry.get("parameters"), f"{place}.parameters", model)
        return layers

    def _layers(self, value: object, what: str, number: int) -> Layers:
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 2 or not all(isinstance(item, int) and not isinstance(item, bool) for item in numbers):
            raise self._wrong(f"{what}: two whole numbers are needed, the first layer and the one behind the last")
        if not 0 <= numbers[0] < numbers[1]:
            raise self._wrong(f"{what}: {numbers} holds no layer; it goes up to the second number and without it")
        return Layers(number, numbers[0], numbers[1] - numbers[0])

    def _list(self, value: object, what: str) -> list[object]:
        if not isinstance(value, list) or not value:
            raise self._wrong(f"{what}: a list is needed")
        return value

    def _entry(self, value: object, what: str, known: set[str]) -> Mapping[str, Any]:
        entry = self._mapping(value, what)
        for key in entry:
            if key not in known:
                raise self._wrong(f"{what}.{key} is not supported; {', '.join(sorted(known))} are", Status.UNSUPPORTED)
        return entry

    def _mapping(self, value: object, what: str) -> Mapping[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self._wrong(f"{what} must be names with values")
        return cast("Mapping[str, Any]", value)

    def _format(self, top: Mapping[str, Any]) -> Format | None:
        for key in ("out_dtype", "dtype"):
            name = top.get(key)
            if name is None:
                continue
            if name not in _FORMATS:
                raise self._wrong(f"{key}: {name!r} is none of {', '.join(_FORMATS)}", Status.UNSUPPORTED)
            return _FORMATS[name]
        return None

    def _model(self, value: object, what: str) -> str:
        if isinstance(value, dict):
            # mergekit's long form: {model: {path: …}}.
            value = value.get("path", value.get("model"))
        if isinstance(value, dict):
            value = value.get("path")
        if not isinstance(value, str) or not value:
            raise self._wrong(f"{what}: the path of a model is needed")
        beside = os.path.join(os.path.dirname(self._path), value)
        if os.path.exists(beside):
            return beside
        if not os.path.exists(value):
            raise self._wrong(
                f"{what}: {value} does not exist; models are read from folders, nothing is downloaded", Status.NOT_FOUND
            )
        return value

    def _settings(self, value: object, what: str, model: int | None) -> list[Setting]:
        if value is None:
            return []
        settings: list[Setting] = []
        for name, given in self._mapping(value, what).items():
            conditions = given if isinstance(given, list) and given and isinstance(given[0], dict) else None
            if isinstance(given, dict):
                conditions = [given]
            if conditions is None:
                settings.append(Setting(name, self._value(given, f"{what}.{name}"), None, model))
                continue
            for index, condition in enumerate(conditions):
                place = f"{what}.{name}[{index}]"
                entry = self._mapping(condition, place)
                pattern = entry.get("filter")
                if pattern is not None and not isinstance(pattern, str):
                    raise self._wrong(f"{place}.filter must be a text")
                settings.append(Setting(name, self._value(entry.get("value"), place), pattern, model))
        return settings

    def _value(self, value: object, what: str) -> float | list[float]:
        if isinstance(value, list):
            return [self._number(item, what) for item in value]
        return self._number(value, what)

    def _number(self, value: object, what: str) -> float:
        # YAML 1.1 reads 1e-3 as a text.
        if isinstance(value, (bool, int, float, str)):
            try:
                return float(value)
            except ValueError:
                pass
        raise self._wrong(f"{what}: {value!r} is no number")
