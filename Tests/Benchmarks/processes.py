"""Running programs: their output, their memory, and what stops them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Sequence
from typing import Any


class Failed(Exception):
    """A program that ended badly; the text says which and how."""


def pinned(threads: int) -> dict[str, str]:
    """The environment in which OpenMP keeps its threads on CPUs of their own."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_PROC_BIND": "true",
        "OMP_PLACES": "cores",
        "HF_HUB_OFFLINE": "1",
        "OPENVINO_TELEMETRY_ENABLED": "0",
    }


def run(command: Sequence[object], threads: int, timeout: float = 900) -> tuple[str, float]:
    """What a program prints, and its peak memory in MiB."""
    words = [str(word) for word in command]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=pinned(threads)
    ) as child:
        timer = threading.Timer(timeout, child.kill)
        timer.start()
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(child.stderr or ()))
        reader.start()
        output = child.stdout.read() if child.stdout else ""
        reader.join()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
    if child.returncode != 0:
        last = "".join(errors).strip().splitlines()[-1:] or [""]
        raise Failed(f"{pathlib.Path(words[0]).name} ended with {child.returncode}: {last[0][:200]}")
    return output, usage.ru_maxrss / 1024


class Worker:
    """A program that is kept, and answers one line of JSON with another."""

    def __init__(self, command: Sequence[object], threads: int) -> None:
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=pinned(threads),
        )
        self.errors: list[str] = []
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.child.stderr or ()), daemon=True)
        self.reader.start()

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to a question."""
        assert self.child.stdin and self.child.stdout
        try:
            self.child.stdin.write(json.dumps(question) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.child.wait()
            self.reader.join(2)
            last = "".join(self.errors).strip().splitlines()[-1:] or ["it ended without a word"]
            raise Failed(last[0][:200])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the program."""
        with contextlib.suppress(BrokenPipeError):
            if self.child.stdin:
                self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
