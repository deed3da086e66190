"""The package's declarations against the header, as gcc reads it."""

from __future__ import annotations

import ctypes
import pathlib
import re
import subprocess
from typing import Any

import pytest

from bonesoup import _constants, _structs, errors
from bonesoup._functions import FUNCTIONS

HEADER = pathlib.Path(__file__).resolve().parents[3] / "include" / "bonesoup.h"
CODE = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
BODIES: dict[str, str] = dict(
    (name, body) for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} bsoup_(\w+);", CODE, flags=re.DOTALL)
)
CALLBACKS: list[str] = re.findall(r"typedef \w+[ *]+\(\*bsoup_(\w+)_fn\)", CODE)


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def is_structure(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ctypes.Structure) and value is not ctypes.Structure


def fields(body: str) -> list[str]:
    return [re.sub(r"\[.*", "", line.split()[-1]).lstrip("*") for line in body.split(";") if line.strip()]


def run_c(tmp_path: pathlib.Path, statements: str) -> str:
    """Return what a C program of these statements prints."""
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(f'#include "bonesoup.h"\n#include <stdio.h>\nint main(void) {{\n{statements}\nreturn 0;\n}}\n')
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-I", str(HEADER.parent), "-o", str(program)]
    subprocess.run([*command, str(source)], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def test_every_structure_of_the_header_is_declared_and_no_other() -> None:
    declared = {name for name, value in vars(_structs).items() if is_structure(value)}
    assert len(BODIES) > 15
    assert declared == {camel(name) for name in BODIES}


@pytest.mark.parametrize("name", BODIES)
def test_fields_have_the_headers_names_order_offsets_and_sizes(name: str, tmp_path: pathlib.Path) -> None:
    structure: Any = getattr(_structs, camel(name))
    names = fields(BODIES[name])
    assert [field[0] for field in structure._fields_] == names
    lines = "".join(
        f'printf("%zu %zu\\n", offsetof(bsoup_{name}, {field}), sizeof ((bsoup_{name} *)0)->{field});\n'
        for field in names
    )
    printed = run_c(tmp_path, lines + f'printf("%zu\\n", sizeof(bsoup_{name}));')
    *rows, size = printed.splitlines()
    assert [f"{getattr(structure, field).offset} {getattr(structure, field).size}" for field in names] == rows
    assert ctypes.sizeof(structure) == int(size)


@pytest.mark.parametrize("name", BODIES)
def test_fields_have_the_headers_types(name: str) -> None:
    structure: Any = getattr(_structs, camel(name))
    declarations = [line.strip() for line in BODIES[name].split(";") if line.strip()]
    for declaration, (field, kind, *_) in zip(declarations, structure._fields_):
        if declaration.startswith("char ") and "[" in declaration:
            assert kind is ctypes.c_char * int(re.findall(r"\[(\d+)\]", declaration)[0])
        else:
            assert kind in types(declaration[: declaration.rindex(field)]), declaration


SCALARS: dict[str, Any] = {
    "int32_t": ctypes.c_int32,
    "bsoup_status": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


def types(text: str) -> list[Any]:
    """Return the ctypes that may stand for a C type."""
    constant = text.startswith("const ")
    words = text.replace("const", "").split()
    base, stars = words[0].rstrip("*"), text.count("*")
    if base == "void":
        return [None] if stars == 0 else [ctypes.c_void_p]
    if base == "char":
        pieces: list[Any] = [ctypes.POINTER(ctypes.c_char)]
        if constant:
            pieces.append(ctypes.c_char_p)
        return pieces if stars == 1 else [ctypes.POINTER(piece) for piece in pieces]
    if base.endswith("_fn"):
        return [getattr(_structs, camel(base[len("bsoup_") :]))]
    if base.startswith("bsoup_") and base != "bsoup_status":
        name = base[len("bsoup_") :]
        kind = getattr(_structs, camel(name)) if name in BODIES else ctypes.c_void_p
        depth = stars if name in BODIES else stars - 1
    else:
        kind, depth = SCALARS[base], stars
    for _ in range(depth):
        kind = ctypes.POINTER(kind)
    return [kind]


def prototypes() -> dict[str, tuple[str, list[str]]]:
    """Return result and parameters, without their names, of each function of the header."""
    code = re.sub(r"typedef struct \w+ \{.*?\} \w+;|typedef [^;]*;|enum \{.*?\};", "", CODE, flags=re.DOTALL)
    code = re.sub(r"^#.*$", "", code, flags=re.MULTILINE)
    found = {}
    for result, name, parameters in re.findall(r"([\w ]+?[ *]+)(bsoup_\w+)\(([^)]*)\);", code):
        listed = [] if parameters.strip() == "void" else [" ".join(p.split()) for p in parameters.split(",")]
        found[name] = (result.strip(), [re.sub(r"\w+$", "", parameter).strip() for parameter in listed])
    return found


def declared_by_gcc(tmp_path: pathlib.Path) -> set[str]:
    listing = tmp_path / "prototypes"
    subprocess.run(["gcc", "-std=c99", "-fsyntax-only", "-aux-info", str(listing), "-x", "c", str(HEADER)], check=True)
    lines = [line for line in listing.read_text().splitlines() if "bonesoup.h:" in line]
    return {match[1] for line in lines if (match := re.search(r"\*/ extern .*?\b(\w+) \(", line))}


def test_every_function_of_the_header_is_declared_and_no_other(tmp_path: pathlib.Path) -> None:
    assert set(FUNCTIONS) == set(prototypes()) == declared_by_gcc(tmp_path)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_headers_types(name: str) -> None:
    result, parameters = prototypes()[name]
    restype, argtypes = FUNCTIONS[name]
    assert restype in types(result)
    assert len(argtypes) == len(parameters)
    for parameter, kind in zip(parameters, argtypes):
        assert kind in types(parameter), parameter


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_have_the_headers_types(name: str) -> None:
    match = re.search(rf"typedef (\w+[ *]+)\(\*bsoup_{name}_fn\)\((.*?)\);", CODE, flags=re.DOTALL)
    assert match
    function: Any = getattr(_structs, camel(name) + "Fn")
    parameters = [re.sub(r"\w+$", "", " ".join(p.split())).strip() for p in match[2].split(",")]
    assert function._restype_ in types(match[1])
    assert len(function._argtypes_) == len(parameters)
    for parameter, kind in zip(parameters, function._argtypes_):
        assert kind in types(parameter), parameter


def constants() -> dict[str, int]:
    """Return the numbers of the header's enums."""
    listed = re.findall(r"\b(BSOUP_\w+) = (\d+)", CODE)
    return {name: int(number) for name, number in listed}


def test_statuses_are_the_headers() -> None:
    numbers = {name[len("BSOUP_") :]: number for name, number in constants().items()}
    first = re.search(r"enum \{(.*?)\};", CODE, flags=re.DOTALL)
    assert first
    names = re.findall(r"BSOUP_(\w+) =", first[1])
    assert {status.name: status.value for status in errors.Status} == {name: numbers[name] for name in names}


def test_constants_are_the_headers() -> None:
    groups = {
        "FORMAT": {"default": 0, **_constants.FORMATS},
        "LOAD": _constants.LOADS,
        "VERIFY": _constants.VERIFICATIONS,
        "GUARD": _constants.GUARDS,
        "BLEND": _constants.BLENDS,
        "ADJUSTED": _constants.ADJUSTMENTS,
        "TOKENIZE": {"special": _constants.TOKENIZE_SPECIAL, "parse_special": _constants.TOKENIZE_PARSE_SPECIAL},
        "DETOKENIZE": {"skip_special": _constants.DETOKENIZE_SKIP_SPECIAL},
        "FINISH": _constants.FINISHES,
        "EXPORT": _constants.EXPORTS,
        "VECTORS": _constants.VECTORS,
        "METHOD_BASE": _constants.METHOD_BASES,
        "NEGATIVE": _constants.NEGATIVES,
    }
    mine = {f"BSOUP_{group}_{name.upper()}": value for group, words in groups.items() for name, value in words.items()}
    mine.update({f"BSOUP_{name.upper()}": value for name, value in _constants.POLICIES.items()})
    statuses = {f"BSOUP_{status.name}" for status in errors.Status}
    assert mine == {name: value for name, value in constants().items() if name not in statuses}
    assert f"#define BSOUP_ABI_VERSION {_constants.ABI_VERSION}\n" in HEADER.read_text()
