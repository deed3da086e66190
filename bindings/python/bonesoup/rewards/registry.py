"""Rewards by name, by `module:function` and by `file.py:function`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bonesoup.errors import Status, error
from bonesoup.rewards.reward import Row, RowReward

_Target = TypeVar("_Target", bound=Callable[..., Any])
_REGISTRY: dict[str, Callable[..., Any]] = {}


def register(name: str) -> Callable[[_Target], _Target]:
    """Give a batch function or a class of callables a name for `soup.yml`.

    A function is called with prompts, completions, rows where it has a parameter of that name, and the project's
    parameters by keyword; a class is made with the parameters and then called.
    """

    def add(target: _Target) -> _Target:
        _REGISTRY[name] = target
        return target

    return add


def per_text(function: Callable[..., float]) -> Callable[..., list[float]]:
    """Make a batch reward of a function from one completion to a number."""

    @functools.wraps(function)
    def batch(prompts: Sequence[str], completions: Sequence[str], **parameters: Any) -> list[float]:
        return [function(completion, **parameters) for completion in completions]

    # What `soup.yml` may name: the function's parameters after the text.
    own = list(inspect.signature(function).parameters.values())[1:]
    place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    texts = [inspect.Parameter(name, place) for name in ("prompts", "completions")]
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(batch)["__signature__"] = inspect.Signature([*texts, *named])
    return batch


def names() -> list[str]:
    """Return the registered names."""
    return sorted(_REGISTRY)


class LoadedReward:
    """A reward with its parameters, whose answers are checked."""

    def __init__(self, name: str, target: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
        self.name = name
        try:
            if isinstance(target, type):
                target, parameters = target(**parameters), {}
            signature = inspect.signature(target)
            self._takes_rows = "rows" in signature.parameters
            signature.bind([], [], **parameters, **({"rows": []} if self._takes_rows else {}))
            self._call: Callable[..., Any] = functools.partial(target, **parameters)
        except TypeError as failure:
            raise error(Status.INVALID_ARGUMENT, f"reward {name}: {failure}") from None

    def __call__(
        self, prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row] | None = None
    ) -> list[float]:
        """Return one finite number per completion, or raise."""
        further: dict[str, Any] = {}
        if self._takes_rows:
            further["rows"] = rows if rows is not None else [{}] * len(completions)
        given = self._call(prompts, completions, **further)
        try:
            scores = [float(score) for score in given]
        except (TypeError, ValueError) as failure:
            message = f"reward {self.name} must give a list of numbers, one per completion: {failure}"
            raise error(Status.INVALID_ARGUMENT, message) from None
        if len(scores) != len(completions):
            message = f"reward {self.name} gave {len(scores)} numbers for {len(completions)} completions"
            raise error(Status.MISMATCH, message)
        for score, completion in zip(scores, completions):
            if not math.isfinite(score):
                raise error(Status.INVALID_ARGUMENT, f"reward {self.name} gave {score} for {completion[:80]!r}")
        return scores


def load(spec: Mapping[str, Any], folder: Path | None = None) -> RowReward:
    """Return the reward that an objective of `soup.yml` names.

    Parameters
    ----------
    spec
        ``reward``: a registered name, ``module:function`` or ``file.py:function``; ``parameters``: keyword arguments.
        Other keys are not read.
    folder
        Where a relative path starts; default: the working folder.
    """
    name, parameters = spec.get("reward"), spec.get("parameters") or {}
    if not isinstance(name, str) or not isinstance(parameters, Mapping):
        raise error(Status.INVALID_ARGUMENT, "an objective needs a reward's name, and parameters by name")
    return LoadedReward(name, _target(name, folder or Path()), parameters)


def source(name: str, folder: Path | None = None) -> Path | None:
    """Return the file that a reward's code is in; None for bonesoup's own, and for code that is no Python file."""
    place, colon, _ = name.rpartition(":")
    if not colon:
        return None
    if place.endswith(".py"):
        return (folder or Path()) / place
    target = inspect.unwrap(_target(name, folder or Path()))
    try:
        file = inspect.getsourcefile(target)
    except TypeError:
        # An instance, or a built-in.
        file = getattr(sys.modules[place], "__file__", None)
    return Path(file) if file is not None and Path(file).is_file() else None


def _target(name: str, folder: Path) -> Callable[..., Any]:
    place, colon, attribute = name.rpartition(":")
    if not colon:
        if name not in _REGISTRY:
            known = ", ".join(names())
            raise error(
                Status.NOT_FOUND, f"no reward is called {name}; there are {known}, module:function, file.py:function"
            )
        return _REGISTRY[name]
    module = _file(folder / place) if place.endswith(".py") else _module(place)
    found = getattr(module, attribute, None)
    if not callable(found):
        raise error(Status.NOT_FOUND, f"reward {name}: {place} has no function {attribute}")
    function: Callable[..., Any] = found
    return function


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as failure:
        raise error(Status.NOT_FOUND, f"reward module {name}: {failure}") from None


def _file(path: Path) -> Any:
    if not path.is_file():
        raise error(Status.NOT_FOUND, f"reward file {path} does not exist")
    # A name that no other module has; dataclasses and pickle look for it among the loaded ones.
    name = str(path.resolve().with_suffix("")).replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise error(Status.UNSUPPORTED, f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as failure:
        del sys.modules[name]
        raise error(Status.MALFORMED, f"reward file {path}, line {failure.lineno}: {failure.msg}") from None
    except BaseException:
        del sys.modules[name]
        raise
    return module
