"""The shared library as a file: what it exports, what it needs, where it runs."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
LIBRARY = pathlib.Path(os.environ.get("BONESOUP_LIBRARY", ROOT / ".build/release/libbonesoup.so"))
OBJECTS = LIBRARY.parent
HEADER = ROOT / "include/bonesoup.h"
SYSTEM = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}


def output(*command: str | pathlib.Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def declared(tmp_path: pathlib.Path) -> set[str]:
    """Return the functions that the header declares, as gcc reads them."""
    prototypes = tmp_path / "prototypes"
    output("gcc", "-std=c99", "-fsyntax-only", "-aux-info", prototypes, "-x", "c", HEADER)
    lines = [line for line in prototypes.read_text().splitlines() if "bonesoup.h:" in line]
    return {match[1] for line in lines if (match := re.search(r"\*/ extern .*?\b(\w+) \(", line))}


def test_exports_exactly_the_functions_of_the_header(tmp_path: pathlib.Path) -> None:
    lines = output("nm", "-D", "--defined-only", LIBRARY).splitlines()
    exported = {name for line in lines if (name := line.split()[-1].split("@")[0]) != "BSOUP_1"}
    functions = declared(tmp_path)
    assert len(functions) > 10
    assert exported - functions == set(), "exported and not in the header"
    assert functions - exported == set(), "in the header and not exported"


def test_every_export_carries_the_version_node() -> None:
    lines = output("nm", "-D", "--defined-only", "--with-symbol-versions", LIBRARY).splitlines()
    names = [line.split()[-1] for line in lines]
    assert any(name.startswith("bsoup_") for name in names)
    assert [name for name in names if not name.endswith("@@BSOUP_1") and name != "BSOUP_1"] == []


def test_needs_libc_libm_and_the_loader_only() -> None:
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", LIBRARY)))
    assert needed - SYSTEM == set()
    linked = {pathlib.Path(line.split()[0]).name for line in output("ldd", LIBRARY).splitlines()}
    assert linked - SYSTEM == {"linux-vdso.so.1"}


def test_loads_within_two_milliseconds() -> None:
    code = (
        "import ctypes, sys, time; start = time.perf_counter(); ctypes.CDLL(sys.argv[1]);"
        "print(time.perf_counter() - start)"
    )
    times = [float(output(sys.executable, "-c", code, LIBRARY)) for _ in range(10)]
    assert min(times) <= 2e-3, times


HOST = """
#include "bonesoup.h"
#include <stdio.h>
int main(void) { printf("%s\\n%s\\n", bsoup_version(), bsoup_build_info()); return 0; }
"""


def test_runs_where_there_is_nothing_but_libc(tmp_path: pathlib.Path) -> None:
    """In a root folder of its own, with no Swift, a C host runs on the library and what ldd lists."""
    (tmp_path / "host.c").write_text(HOST)
    cell = tmp_path / "cell"
    cell.mkdir()
    output(
        *("gcc", "-std=c99", "-I", HEADER.parent, "-o", cell / "host", tmp_path / "host.c"),
        *("-L", OBJECTS, "-lbonesoup", "-Wl,-rpath,/"),
    )
    shutil.copy(LIBRARY, cell / "libbonesoup.so")
    for path in re.findall(r"(/\S+) \(0x", output("ldd", LIBRARY)):
        target = cell / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot"]
    if subprocess.run([*enter, "/", "/bin/true"], capture_output=True).returncode != 0:
        pytest.skip("neither chroot nor user namespaces are allowed here")
    result = subprocess.run([*enter, cell, "/host"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("level", ["KernelsAVX2", "KernelsAVX512", "KernelsAVX512BF16"])
def test_kernels_of_a_higher_level_share_no_code_with_lower_ones(level: str) -> None:
    """Weak code in these objects could be picked by the linker for callers on machines without the instructions.

    Weak symbols that carry the module's own name are no danger: no other object has them.
    """
    objects = list((OBJECTS / f"{level}.build").glob("*.o"))
    assert objects
    weak = [line for path in objects for line in output("nm", path).splitlines() if " W " in line]
    assert [line for line in weak if f"{len(level)}{level}" not in line] == []


def test_kernels_of_the_lowest_level_hold_no_avx_instruction() -> None:
    objects = list((OBJECTS / "KernelsBaseline.build").glob("*.o"))
    assert objects
    code = "".join(output("objdump", "-d", "--no-show-raw-insn", path) for path in objects)
    assert re.findall(r"^.*\t(?:v[a-z0-9]+ .*%[xyz]mm.*|.*%[yz]mm.*)$", code, re.MULTILINE)[:10] == []
