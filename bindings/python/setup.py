"""Puts libbonesoup.so into the package.

The library is the one that the environment variable BONESOUP_LIBRARY names, else `swift build` makes it from the
checkout around this folder. The wheel's tag names the oldest glibc that the library works with.
"""

from __future__ import annotations

import os
import pathlib
import platform
import re
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

NAME = "libbonesoup.so"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILT = ROOT / ".build" / "release" / NAME


def given() -> str | None:
    """Return the path of a library that is there already, if the environment names one."""
    return os.environ.get("BONESOUP_LIBRARY") or None


def build() -> None:
    """Build the library from the checkout, into BUILT."""
    if not (ROOT / "Package.swift").exists():
        raise SetupError(
            "the library's sources are not here: install from a checkout of the repository, or a wheel, or set "
            "BONESOUP_LIBRARY to the path of libbonesoup.so"
        )
    swift = shutil.which("swift")
    if swift is None:
        raise SetupError("swift is not on PATH: install Swift 6.3 (https://swift.org/install), or install a wheel")
    subprocess.run([swift, "build", "-c", "release", "--product", "bonesoup"], cwd=ROOT, check=True)


class MachineCode(Distribution):
    """A package that goes where machine code goes (platlib)."""

    def has_ext_modules(self) -> bool:
        """Say that there is machine code, though no extension module."""
        return True


class BuildWithLibrary(build_py):
    """Build the modules, and the library beside them."""

    def run(self) -> None:
        """Build; an editable installation uses the library where `swift build` leaves it."""
        library = given()
        if library is None:
            build()
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # modules that are gone from the sources
        super().run()
        package = pathlib.Path(self.build_lib) / "bonesoup"
        shutil.copyfile(library or BUILT, package / NAME)
        if library is None and (strip := shutil.which("strip")):
            subprocess.run([strip, "--strip-unneeded", package / NAME], check=True)
        if (licence := ROOT / "LICENSE").exists():
            shutil.copyfile(licence, package / "LICENSE")


class WheelOfLibrary(bdist_wheel):
    """A wheel for any Python 3 on Linux with the library's glibc."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tag for the glibc whose symbols the library asks for."""
        needed = re.findall(rb"\bGLIBC_(\d+)\.(\d+)", pathlib.Path(given() or BUILT).read_bytes())
        major, minor = max((int(major), int(minor)) for major, minor in needed)
        return "py3", "none", f"manylinux_{major}_{minor}_{platform.machine()}"


# What is made on the way goes where `swift build` puts its own, if that is there.
setup(
    distclass=MachineCode,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelOfLibrary},
    options={"build": {"build_base": os.path.relpath(ROOT / ".build" / "python", HERE)}}
    if (ROOT / "Package.swift").exists()
    else {},
)
