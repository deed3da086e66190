"""Who is compared: each side runs one cell once and tells what came out, in tokens per second or seconds."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Any

from cells import PROMPT, SESSIONS, STEPS, TOKENS, Cell
from install import HERE, Cache, Unavailable
from processes import Failed, Worker, run

Metrics = dict[str, float]
"""What a run tells: `decode`, `prefill`, `batch` in tokens/s; `first` in seconds; `peak` in MiB; ..."""

MAIN = {"live": "live decode", "accuracy": "error"}
"""The metric that a piece of work is ranked by, where it has another name."""


@dataclasses.dataclass
class Contender:
    """A side with one set of its options."""

    side: str
    variant: str
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """As the results call it."""
        return f"{self.side} {self.variant}".strip()


class Side:
    """A program that is measured."""

    name = ""
    formats: dict[str, str] = {}
    """By class of formats, the side's own name for it."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def contenders(self, cell: Cell) -> list[Contender]:
        """The sets of options among which the best is looked for; none where the side has nothing for the cell."""
        raise NotImplementedError

    def run(self, cell: Cell, contender: Contender, limits: bool = False) -> Metrics:
        """Runs the cell once; with `limits` it may tell its share of the machine's."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what is kept between runs."""


class Ours(Side):
    """bonesoup-bench."""

    name = "bonesoup"

    def __init__(self, cache: Cache, program: pathlib.Path) -> None:
        super().__init__(cache)
        self.program = program

    def contenders(self, cell: Cell) -> list[Contender]:
        formats = {"8bit": ["q8_0", "q8_128"], "4bit": ["q4_0"]}.get(cell.format, [cell.format])
        return [Contender(self.name, format, {"weights": format}) for format in formats]

    def machine(self, cell: Cell) -> str:
        """The processor, and what is used of it."""
        output, _ = run([self.program, self.cache.models(cell.shape) / "base", "--json", "--only=limits"], cell.threads)
        told = json.loads(output)
        return f"{told['cpu']}, {told['isa']}, {told['threads']} CPUs; bonesoup {told['version']}"

    def run(self, cell: Cell, contender: Contender, limits: bool = False) -> Metrics:
        """Runs the cell once; with limits it also tells the share of the machine's limit."""
        models = self.cache.models(cell.shape)
        options = [f"--weights={contender.options['weights']}", *([] if limits else ["--no-limits", "--repetitions=1"])]

        def rows(soup: str, only: str, *more: str) -> tuple[dict[str, dict[str, Any]], float]:
            command = [self.program, models / soup, "--json", f"--threads={cell.threads}", f"--only={only}"]
            output, peak = run([*command, *options, *more], cell.threads)
            return {row["name"]: row for row in json.loads(output)["rows"]}, peak

        def one(row: dict[str, Any], name: str, **more: float) -> Metrics:
            share = {} if row["share"] is None else {"share of limit": row["share"]}
            return {name: row["value"], **more, **share}

        if cell.work == "decode":
            told, peak = rows("base", "decode", f"--decode={TOKENS}", "--prefill=0")
            return one(told["decode"], "decode", peak=peak)
        if cell.work == "prefill":
            told, peak = rows("base", "prefill", f"--prefill={PROMPT}")
            return one(told[f"prefill of {PROMPT}"], "prefill", peak=peak)
        if cell.work == "batch":
            told, _ = rows("lora.json", "batch", f"--batch={SESSIONS}", f"--decode={STEPS}", "--adapters=3")
            mixed = told[f"batch of {SESSIONS}, a preference each, 3 adapters"]
            return one(told[f"batch of {SESSIONS}"], "batch", mixed=mixed["value"])
        if cell.work == "live":
            told, _ = rows("lora.json", "live", f"--prefill={PROMPT}", f"--decode={TOKENS}", "--adapters=3")
            prefill = f"prefill of {PROMPT}"
            change = told["next token after a change"]["value"] - told["next token without a change"]["value"]
            return {
                "base decode": told["decode, base alone"]["value"],
                "live decode": told["decode, 3 adapters"]["value"],
                "base prefill": told[f"{prefill}, base alone"]["value"],
                "live prefill": told[f"{prefill}, 3 adapters"]["value"],
                "change": change / 1e3,
            }
        if cell.work == "first":
            told, _ = rows("base", "open", "--prefill=0", "--decode=0")
            return {"first": told["from call to first token"]["value"] / 1e3, "peak": told["peak memory"]["value"]}
        if cell.work == "fold":
            told, _ = rows("tune.json", "fold")
            row = next(row for name, row in told.items() if name.endswith("read and written"))
            return one(row, "fold")
        raise Unavailable(f"no run for {cell.work}")


class Llama(Side):
    """llama.cpp, by llama_peer."""

    name = "llama.cpp"
    formats = {"bf16": "bf16", "f16": "f16", "8bit": "q8_0", "4bit": "q4_0"}
    flags: list[dict[str, Any]] = [{"fa": 1}, {"fa": 0}]

    def contenders(self, cell: Cell) -> list[Contender]:
        if cell.work == "fold":
            return []
        return [
            Contender(self.name, " ".join(f"-{key} {value}" for key, value in flags.items()), flags)
            for flags in self.choices(cell)
        ]

    def choices(self, cell: Cell) -> list[dict[str, Any]]:
        """The flags that are worth a try."""
        return self.flags

    def run(self, cell: Cell, contender: Contender, limits: bool = False) -> Metrics:
        model = self.cache.gguf(cell.shape, self.formats[cell.format])
        program = self.cache.programs(self.name) / "llama_peer"
        flags = [word for key, value in contender.options.items() for word in (f"-{key}", str(value))]
        command = [program, "-m", model, "-t", str(cell.threads), *flags]

        def seconds(*more: str | pathlib.Path) -> Metrics:
            output, peak = run([*command, *more], cell.threads)
            return {**json.loads(output), "peak": peak}

        if cell.work == "decode":
            told = seconds("-n", str(TOKENS))
            return {"decode": TOKENS / told["decode"], "peak": told["peak"]}
        if cell.work == "prefill":
            told = seconds("-p", str(PROMPT))
            return {"prefill": PROMPT / told["prefill"], "peak": told["peak"]}
        if cell.work == "batch":
            told = seconds("-n", str(STEPS), "-b", str(SESSIONS))
            return {"batch": STEPS * SESSIONS / told["decode"]}
        if cell.work == "first":
            told = seconds()
            return {"first": told["first"], "peak": told["peak"]}
        if cell.work == "live":
            loras = [word for path in self.cache.gguf_adapters(cell.shape) for word in ("--lora", path)]
            base = seconds("-p", str(PROMPT), "-n", str(TOKENS))
            live = seconds("-p", str(PROMPT), "-n", str(TOKENS), *loras)
            return {
                "base decode": TOKENS / base["decode"],
                "live decode": TOKENS / live["decode"],
                "base prefill": PROMPT / base["prefill"],
                "live prefill": PROMPT / live["prefill"],
                "change": live["change"],
            }
        raise Unavailable(f"no run for {cell.work}")


class Ik(Llama):
    """ik_llama.cpp, by llama_peer."""

    name = "ik_llama.cpp"
    flags = [{"rtr": 1, "fa": 1}, {"rtr": 0, "fa": 1}, {"rtr": 1, "fa": 0}]

    def choices(self, cell: Cell) -> list[dict[str, Any]]:
        # With flash attention, sequences that decode together end it, and adapters are refused.
        if cell.work in ("batch", "live"):
            return [{"rtr": 1, "fa": 0}, {"rtr": 0, "fa": 0}]
        if cell.work == "first":  # Repacking takes time.
            return [{"rtr": 0, "fa": 1}]
        return self.flags


class Package(Side):
    """A Python package, by worker.py; one worker is kept with its model open."""

    kind = ""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache)
        self.worker: Worker | None = None
        self.opened: tuple[str, ...] = ()

    def model(self, cell: Cell) -> pathlib.Path:
        """The model's folder."""
        raise NotImplementedError

    def open(
        self, cell: Cell, contender: Contender, adapters: bool = False, anew: bool = False
    ) -> tuple[Worker, Metrics]:
        """The worker with this model, and the seconds it took to open where it was not."""
        model = self.model(cell)
        together = cell.work == "batch"
        key = (str(model), str(cell.threads), contender.name, str(adapters), str(together))
        if self.worker and key == self.opened and not anew:
            return self.worker, {}
        self.close()
        worker = Worker([self.cache.python(), HERE / "worker.py", self.kind], cell.threads)
        self.worker = worker
        paths = [str(self.cache.models(cell.shape) / f"lora{index}/adapter_model.safetensors") for index in range(3)]
        told = worker.ask(
            work="open",
            model=str(model),
            threads=cell.threads,
            options=contender.options,
            adapters=paths if adapters else [],
            together=together,
        )
        self.opened = key
        return worker, told

    def run(self, cell: Cell, contender: Contender, limits: bool = False) -> Metrics:
        if cell.work == "first":
            worker, told = self.open(cell, contender, anew=True)
            return {"first": told["first"], "peak": worker.ask(work="memory")["peak"]}
        if cell.work == "live":
            told = {}
            for name, adapters in (("base", False), ("live", True)):
                worker, _ = self.open(cell, contender, adapters)
                told |= {f"{name} {work}": rate for work, rate in self.rates(worker).items()}
            return told
        worker, _ = self.open(cell, contender)
        if cell.work == "prefill":
            return {"prefill": self.prefill(worker)}
        if cell.work == "decode":
            return {"decode": self.decode(worker, 1, TOKENS)}
        if cell.work == "batch":
            return {"batch": self.decode(worker, SESSIONS, STEPS)}
        raise Unavailable(f"no run for {cell.work}")

    def rates(self, worker: Worker) -> Metrics:
        """Tokens per second of a prompt and one by one."""
        return {"prefill": self.prefill(worker), "decode": self.decode(worker, 1, TOKENS)}

    def prefill(self, worker: Worker) -> float:
        worker.ask(work="prefill", prompt=PROMPT)
        return PROMPT / float(worker.ask(work="prefill", prompt=PROMPT)["prefill"])

    def decode(self, worker: Worker, sessions: int, tokens: int) -> float:
        return sessions * tokens / float(worker.ask(work="decode", sessions=sessions, tokens=tokens)["decode"])

    def close(self) -> None:
        if self.worker:
            self.worker.close()
        self.worker = None


class OpenVINO(Package):
    """OpenVINO GenAI."""

    name = "OpenVINO"
    kind = "openvino"
    formats = {"bf16": "bf16", "8bit": "int8", "4bit": "int4"}

    def contenders(self, cell: Cell) -> list[Contender]:
        if cell.format not in self.formats or cell.work in ("fold", "accuracy"):
            return []
        hints = ["bf16"] if cell.format == "bf16" else ["bf16", "f32"]
        return [
            Contender(self.name, f"{backend} {hint}", {"ATTENTION_BACKEND": backend, "INFERENCE_PRECISION_HINT": hint})
            for backend in ("PA", "SDPA")
            for hint in hints
        ]

    def model(self, cell: Cell) -> pathlib.Path:
        return self.cache.openvino(cell.shape, self.formats[cell.format])


class CTranslate2(Package):
    """CTranslate2."""

    name = "CTranslate2"
    kind = "ctranslate2"
    formats = {"bf16": "bfloat16", "8bit": "int8"}

    def contenders(self, cell: Cell) -> list[Contender]:
        if cell.format not in self.formats or cell.work in ("fold", "accuracy", "live"):
            return []
        kind = self.formats[cell.format]
        kinds = [kind, "int8_bfloat16"] if kind == "int8" else [kind]
        return [Contender(self.name, kind, {"compute_type": kind}) for kind in kinds]

    def model(self, cell: Cell) -> pathlib.Path:
        return self.cache.ctranslate2(cell.shape, self.formats[cell.format])


def attempt(side: Side, cell: Cell, contender: Contender, **more: bool) -> Metrics | str:
    """What a run tells, or why there is none."""
    try:
        return side.run(cell, contender, **more)
    except (Unavailable, Failed) as failure:
        side.close()
        print(f"  {contender.name}: {failure}", file=sys.stderr)
        return str(failure)
