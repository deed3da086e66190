"""Finds and loads libbonesoup.so."""

from __future__ import annotations

import ctypes
import os
import pathlib

from bonesoup._constants import ABI_VERSION
from bonesoup._functions import declare

NAME = "libbonesoup.so"
VARIABLE = "BONESOUP_LIBRARY"


def candidates() -> list[pathlib.Path]:
    """Return where the library may be, best first: a path given by the environment is the only one then."""
    given = os.environ.get(VARIABLE)
    if given:
        return [pathlib.Path(given)]
    package = pathlib.Path(__file__).resolve().parent
    places = [package / NAME]
    root = package.parents[2]
    if (root / "include" / "bonesoup.h").exists():  # a checkout of the repository
        places.append(root / ".build" / "release" / NAME)
    return places


def load() -> ctypes.CDLL:
    """Load the library and check that it speaks this package's ABI."""
    places = candidates()
    path = next((place for place in places if place.exists()), None)
    if path is None:
        listed = ", ".join(map(str, places))
        raise ImportError(f"no {NAME} at {listed}: build it (swift build -c release) or set {VARIABLE} to its path")
    try:
        library = ctypes.CDLL(os.fspath(path.resolve()))
        declare(library)
    except (OSError, AttributeError) as cause:
        raise ImportError(f"{path} cannot be loaded: {cause}") from cause
    version = library.bsoup_abi_version()
    if version != ABI_VERSION:
        raise ImportError(f"{path} has ABI version {version}, this package needs {ABI_VERSION}")
    return library


C = load()


def version() -> str:
    """Return the library's version, as "1.0.0"."""
    return str(C.bsoup_version().decode())


def build_info() -> str:
    """Return one line on the library's build and this machine: version, instruction-set level, threads."""
    return str(C.bsoup_build_info().decode())
