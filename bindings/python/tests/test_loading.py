"""Finding and loading the library."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import bonesoup._library

PACKAGE = pathlib.Path(bonesoup.__file__).parent
SHOW = "import bonesoup._library as library; print(library.C._name)"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that sees the package and the standard library only."""
    lines = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}"
    command = [sys.executable, "-I", "-S", "-c", lines]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment})


def test_the_standard_library_is_enough() -> None:
    code = "import bonesoup; print(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    result = python(code, BONESOUP_LIBRARY=bonesoup._library.C._name)
    assert (result.returncode, result.stdout) == (0, "['__main__', 'bonesoup']\n"), result.stderr


def test_the_environment_says_where_it_is(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "another name.so"
    link.symlink_to(bonesoup._library.C._name)
    result = python(SHOW, BONESOUP_LIBRARY=str(link))
    assert result.stdout.strip() == str(link.resolve())


def test_a_library_that_is_not_there_is_named_with_the_way_out() -> None:
    result = python(SHOW, BONESOUP_LIBRARY="/nowhere/libbonesoup.so")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ImportError: no libbonesoup.so at /nowhere/libbonesoup.so")
    assert "swift build" in last


def test_a_file_that_is_no_library_or_another_one_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.so").write_text("text")
    assert "ImportError: " in python(SHOW, BONESOUP_LIBRARY=str(tmp_path / "text.so")).stderr
    (tmp_path / "empty.c").write_text("int nothing;")
    subprocess.run(["gcc", "-shared", "-o", "empty.so", "empty.c"], cwd=tmp_path, check=True)
    assert "bsoup_abi_version" in python(SHOW, BONESOUP_LIBRARY=str(tmp_path / "empty.so")).stderr


def test_a_library_of_another_abi_is_refused(tmp_path: pathlib.Path) -> None:
    from bonesoup._functions import FUNCTIONS

    bodies = "\n".join(f"int {name}(void) {{ return 99; }}" for name in FUNCTIONS)
    (tmp_path / "other.c").write_text(bodies)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "other.so", "other.c"], cwd=tmp_path, check=True)
    result = python(SHOW, BONESOUP_LIBRARY=str(tmp_path / "other.so"))
    assert "has ABI version 99, this package needs 1" in result.stderr
