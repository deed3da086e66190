"""Files that are neither on disk nor in memory: asked for by offset, or open files."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import numpy
import pytest

import bonesoup
from support import MODELS, SOUPS


class Source:
    """A file behind a function."""

    def __init__(self, path: pathlib.Path) -> None:
        self.content = path.read_bytes()
        self.size = len(self.content)
        self.reads = 0

    def read_at(self, offset: int, size: int) -> bytes:
        self.reads += 1
        return self.content[offset : offset + size]


class Sluggish(io.BytesIO):
    """An open file that gives a few bytes at a time."""

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as room:
            content = self.read(min(4096, room.nbytes))
            room[: len(content)] = content
        return len(content)


def sources(folder: pathlib.Path) -> dict[str, Source]:
    return {f"m/{path.name}": Source(path) for path in folder.iterdir() if path.is_file()}


def expected() -> tuple[int, ...]:
    with bonesoup.Soup.open(MODELS / "llama3") as soup:
        return soup.generate([1, 2, 3], max_tokens=10).tokens


def test_sources_are_read_during_the_open_only() -> None:
    files = sources(MODELS / "llama3")
    with bonesoup.Soup.open("m", files=files) as soup:
        reads = {name: file.reads for name, file in files.items()}
        assert reads["m/model.safetensors"] > 0
        assert soup.generate([1, 2, 3], max_tokens=10).tokens == expected()
        assert {name: file.reads for name, file in files.items()} == reads


@pytest.mark.parametrize("kind", [io.BytesIO, Sluggish])
def test_open_files_are_read(kind: type[io.BytesIO]) -> None:
    folder = MODELS / "llama3"
    files = {f"m/{path.name}": kind(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
    with bonesoup.Soup.open("m", files=files) as soup:
        assert soup.generate([1, 2, 3], max_tokens=10).tokens == expected()


def test_files_on_disk_and_buffers_beside_sources(tmp_path: pathlib.Path) -> None:
    folder = MODELS / "llama3"
    with (folder / "model.safetensors").open("rb", buffering=0) as weights:
        files: dict[str, Any] = {**sources(folder), "m/model.safetensors": weights}
        files["m/config.json"] = (folder / "config.json").read_bytes()
        soup = bonesoup.Soup.open("m", files=files)
    with soup:
        assert soup.generate([1, 2, 3], max_tokens=10).tokens == expected()


def test_a_backbone_of_sources() -> None:
    adapter = MODELS / "llama3" / "adapters" / "plain"
    with bonesoup.Soup.open(MODELS / "llama3") as soup, bonesoup.Soup.open(MODELS / "llama3") as same:
        soup.add_backbone("m", files=sources(adapter))
        same.add_backbone(adapter)
        wish: Any = {"coefficients": [1.0], "max_tokens": 10, "ignore_end": True}
        assert soup.generate([1, 2], **wish).tokens == same.generate([1, 2], **wish).tokens


def test_what_a_source_raises_comes_out_of_the_open() -> None:
    class Broken(Source):
        def read_at(self, offset: int, size: int) -> bytes:
            raise ZeroDivisionError

    files: dict[str, Source] = sources(MODELS / "llama3")
    files["m/model.safetensors"] = Broken(MODELS / "llama3" / "model.safetensors")
    with pytest.raises(ZeroDivisionError):
        bonesoup.Soup.open("m", files=files)


def test_a_source_that_gives_too_little_or_too_much_is_refused() -> None:
    for change in (-1, 1):

        class Other(Source):
            def read_at(self, offset: int, size: int, change: int = change) -> bytes:
                return bytes(size + change)

        files: dict[str, Any] = sources(MODELS / "llama3")
        files["m/model.safetensors"] = Other(MODELS / "llama3" / "model.safetensors")
        with pytest.raises(bonesoup.FileReadError, match=r"m/model\.safetensors gave"):
            bonesoup.Soup.open("m", files=files)
    files["m/model.safetensors"] = io.BytesIO(b"")
    with pytest.raises(bonesoup.BoneSoupError, match=r"model\.safetensors"):
        bonesoup.Soup.open("m", files=files)


def test_a_size_that_is_none_is_refused() -> None:
    files = sources(MODELS / "llama3")
    for size in (-1, 2**64):
        files["m/model.safetensors"].size = size
        with pytest.raises(bonesoup.InvalidArgumentError, match=r"size of m/model\.safetensors"):
            bonesoup.Soup.open("m", files=files)
    files["m/model.safetensors"].size = 2**62
    with pytest.raises(bonesoup.BoneSoupError):
        bonesoup.Soup.open("m", files=files)


def test_the_buffer_of_an_open_file_ends_with_the_read() -> None:
    kept: list[Any] = []

    class Keeper(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            kept.append(numpy.frombuffer(buffer, numpy.uint8))
            return super().readinto(buffer)

    files: dict[str, Any] = sources(SOUPS.parent / "models" / "llama3")
    files["m/model.safetensors"] = Keeper(files["m/model.safetensors"].content)
    with pytest.raises(BufferError):
        bonesoup.Soup.open("m", files=files)
