"""Ctrl-C in long calls."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import numpy
import pytest

import bonesoup
from support import SOUPS, Shape, random_model, write_model

# Work to be cancelled answers within 50 ms; the rest is what a busy machine may add.
LATENCY = 0.5
SHAPE = Shape(hidden=256, layers=6, inner=768, heads=4, vocab=4000, context=200_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return random_model(tmp_path_factory.mktemp("interrupt") / "model", SHAPE)


@pytest.fixture
def soup(folder: pathlib.Path) -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(folder) as opened:
        yield opened


def interrupted(call: Callable[[], Any], after: float = 0.15, count: int = 1) -> None:
    """Run a long call in the main thread, send SIGINT, and demand KeyboardInterrupt soon after."""
    sent: list[float] = []

    def send() -> None:
        time.sleep(after)
        for _ in range(count):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    before = signal.getsignal(signal.SIGINT)
    assert before is signal.default_int_handler
    gc.collect()
    gc.disable()  # what a handler raises while Python calls finalizers is lost, in any program
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
            time.sleep(after + 1)
            pytest.fail("the call has ended before the signal")
        assert sent, "interrupted before the signal"
        assert time.perf_counter() - sent[0] < LATENCY
    finally:
        thread.join()
        gc.enable()
    assert signal.getsignal(signal.SIGINT) is before
    descriptor = signal.set_wakeup_fd(-1)
    assert descriptor == -1


def test_in_a_long_decode(soup: bonesoup.Soup, capfd: pytest.CaptureFixture[str]) -> None:
    interrupted(lambda: soup.generate([1, 2, 3], max_tokens=150_000, ignore_end=True))
    assert len(soup.generate([1, 2, 3], max_tokens=3, ignore_end=True).tokens) == 3
    assert capfd.readouterr() == ("", "")


def test_in_a_long_prefill(soup: bonesoup.Soup) -> None:
    tokens = [index % SHAPE.vocab for index in range(60_000)]
    with soup.session(context=100_000) as session:
        session.append(tokens)
        interrupted(session.decode)
        computed = session.info.computed
        assert 0 < computed < len(tokens)
        session.rewind(computed)  # and it goes on from there
        session.decode()


def test_in_text_callbacks(soup: bonesoup.Soup, capfd: pytest.CaptureFixture[str]) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as small:
        interrupted(lambda: small.generate("a", max_tokens=100_000, ignore_end=True, on_text=lambda text: None))

        def slow(text: str) -> None:
            time.sleep(30)

        interrupted(lambda: small.generate("a", max_tokens=100_000, ignore_end=True, on_text=slow))
    assert capfd.readouterr() == ("", "")


def test_in_hooks_and_steps(capfd: pytest.CaptureFixture[str]) -> None:
    def busy(logits: memoryview[float], tokens: memoryview[int]) -> None:
        sum(range(500))

    with bonesoup.Soup.open(SOUPS / "llama3-lora") as small:
        interrupted(lambda: list(small.stream("a", max_tokens=100_000, ignore_end=True, hook=busy)))
        interrupted(lambda: small.generate_many(["a", "b"], max_tokens=100_000, ignore_end=True, hook=busy))
    assert capfd.readouterr() == ("", "")


def test_in_nested_calls(soup: bonesoup.Soup) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as small:

        def nested(text: str) -> None:
            soup.generate([1, 2, 3], max_tokens=150_000, ignore_end=True)

        interrupted(lambda: small.generate("a", ignore_end=True, on_text=nested))


def test_twice_in_a_row(soup: bonesoup.Soup) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # the second one, where it comes after the call
        interrupted(lambda: soup.generate([1], max_tokens=150_000, ignore_end=True), count=2)
    assert len(soup.generate([1, 2, 3], max_tokens=3, ignore_end=True).tokens) == 3


def test_in_a_load(tmp_path: pathlib.Path) -> None:
    """A file of zeros, most of them holes, large enough for a check that takes seconds."""
    vocab = 4_000_000
    shape = Shape(hidden=256, layers=1, inner=256, heads=2, vocab=64)
    tensors = shape.random_tensors(0)
    del tensors["model.embed_tokens.weight"]
    tensors["model.embed_tokens.weight"] = numpy.zeros((0, 256), numpy.float32)
    path = write_model(tmp_path / "m", shape, tensors) / "model.safetensors"
    size = vocab * 256 * 4
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    header = header.replace(b"[0, 256]", b"[%d, 256]" % vocab)
    start = len(body)
    header = header.replace(b"[%d, %d]" % (start, start), b"[%d, %d]" % (start, start + size))
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + body)
        file.truncate(8 + len(header) + len(body) + size)
    shape.vocab = vocab
    (path.parent / "config.json").write_text(json.dumps(shape.config()))
    interrupted(lambda: bonesoup.Soup.open(path.parent, verify="finite"), after=0.1)


def test_in_a_fold(soup: bonesoup.Soup, tmp_path: pathlib.Path) -> None:
    other = random_model(tmp_path / "other", SHAPE, seed=1)
    soup.add_backbone(other)
    interrupted(lambda: [soup.blend(coefficients=[0.5]) for _ in range(2000)])
    blend = soup.blend(coefficients=[0.5], background=True)
    blend.wait()


def test_in_a_wait(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def slow(share: float) -> None:
        time.sleep(0.3)

    with bonesoup.Soup.open(folder) as soup:
        soup.add_backbone(random_model(tmp_path / "other", SHAPE, seed=1))
        blend = soup.blend(coefficients=[0.5], background=True, progress=slow)
        interrupted(blend.wait)
        blend.close()


def test_a_host_with_a_handler_of_its_own_keeps_it(soup: bonesoup.Soup) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        thread = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        thread.start()
        generation = soup.generate([1, 2, 3], max_tokens=300, ignore_end=True)
        thread.join()
        assert len(generation.tokens) == 300
        time.sleep(0.01)
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_host_with_a_wakeup_descriptor_gets_its_bytes(soup: bonesoup.Soup) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            soup.generate([1, 2, 3], max_tokens=150_000, ignore_end=True)
        time.sleep(0.05)
        assert os.read(read, 10) == bytes([signal.SIGINT])
        assert signal.set_wakeup_fd(-1) == write
    finally:
        signal.set_wakeup_fd(-1)
        os.close(read)
        os.close(write)


def test_calls_on_other_threads_work_and_are_left_alone(soup: bonesoup.Soup) -> None:
    results: list[int] = []

    def work() -> None:
        results.append(len(soup.generate([1, 2, 3], max_tokens=200, ignore_end=True).tokens))

    thread = threading.Thread(target=work)
    thread.start()
    interrupted(lambda: soup.generate([1, 2, 3], max_tokens=150_000, ignore_end=True))
    thread.join()
    assert results == [200]


EXIT = """
import bonesoup, sys, threading, time
soup = bonesoup.Soup.open(sys.argv[1])
started = threading.Event()
def on(*arguments):
    started.set()
def work():
    soup.generate([1, 2, 3], max_tokens=150_000, ignore_end=True, hook=on)
threading.Thread(target=work, daemon=True).start()
started.wait()
session = soup.session()
session.append([1])
session.decode()
view = session.logits(copy=False)
print("out")
"""


def test_the_interpreter_ends_while_a_daemon_thread_generates(folder: pathlib.Path) -> None:
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", EXIT, str(folder)], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "out\n"), result.stderr
    assert "Fatal" not in result.stderr
    assert time.perf_counter() - start < 10
