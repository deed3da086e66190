"""Times a peer that is a Python package: answers lines of JSON. Run in the peers' environment.

    python worker.py openvino|ctranslate2

The first line opens a model, the following ones ask for seconds. Packages are loaded before the clock starts.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any

VOCABULARY = 8000
"""Below the numbers that the tokenizers of the random models have words for."""


class OpenVINO:
    """openvino-genai's LLMPipeline; greedy, with tokens in and out."""

    def __init__(self) -> None:
        import numpy
        import openvino
        import openvino_genai

        self.numpy, self.tensor, self.genai = numpy, openvino.Tensor, openvino_genai

    def open(self, model: str, threads: int, options: dict[str, Any], adapters: list[str], together: bool) -> None:
        properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, **options}
        # Several sequences with paged attention want another pipeline.
        self.batches = together and properties["ATTENTION_BACKEND"] == "PA"
        if self.batches:
            del properties["ATTENTION_BACKEND"]
            scheduler = self.genai.SchedulerConfig()
            scheduler.enable_prefix_caching = False
            self.pipeline = self.genai.ContinuousBatchingPipeline(model, scheduler, "CPU", properties)
            return
        self.adapters = [self.genai.Adapter(path) for path in adapters]
        if self.adapters:
            properties["adapters"] = self.mix(0.3)
        self.pipeline = self.genai.LLMPipeline(model, "CPU", **properties)

    def mix(self, scale: float) -> Any:
        config = self.genai.AdapterConfig()
        for adapter in self.adapters:
            config.add(adapter, scale)
        return config

    def generate(self, prompts: list[list[int]], tokens: int, scale: float | None = None) -> tuple[float, float]:
        config = self.genai.GenerationConfig()
        config.max_new_tokens = tokens
        config.ignore_eos = True
        config.do_sample = False
        config.apply_chat_template = False
        if self.batches:
            tensors = [self.tensor(self.numpy.array([prompt], dtype="int64")) for prompt in prompts]
            times = []
            for count in (1, tokens):
                config.max_new_tokens = count
                start = time.perf_counter()
                self.pipeline.generate(tensors, [config] * len(tensors))
                times.append(time.perf_counter() - start)
            return times[0], times[1]
        more = {} if scale is None else {"adapters": self.mix(scale)}
        start = time.perf_counter()
        result = self.pipeline.generate(self.tensor(self.numpy.array(prompts, dtype="int64")), config, **more)
        whole = time.perf_counter() - start
        return result.perf_metrics.get_ttft().mean / 1e3, whole


class CTranslate2:
    """ctranslate2's Generator; greedy."""

    def __init__(self) -> None:
        import ctranslate2

        self.package = ctranslate2

    def open(self, model: str, threads: int, options: dict[str, Any], adapters: list[str], together: bool) -> None:
        if adapters:
            raise SystemExit("CTranslate2 has no adapters that can be changed")
        with open(os.path.join(model, "vocabulary.json"), encoding="utf-8") as file:
            self.words = json.load(file)
        self.generator = self.package.Generator(model, device="cpu", intra_threads=threads, inter_threads=1, **options)

    def generate(self, prompts: list[list[int]], tokens: int, scale: float | None = None) -> tuple[float, float]:
        texts = [[self.words[token] for token in prompt] for prompt in prompts]
        times = []
        for count in (1, tokens) if tokens > 1 else (1,):
            start = time.perf_counter()
            self.generator.generate_batch(
                texts,
                max_length=count,
                min_length=count,
                sampling_topk=1,
                beam_size=1,
                include_prompt_in_result=False,
                max_batch_size=0,
            )
            times.append(time.perf_counter() - start)
        return times[0], times[-1]


def prompts(count: int, length: int) -> list[list[int]]:
    """Random tokens, others each time: a cache of prefixes must not help."""
    return [[random.randrange(VOCABULARY) for _ in range(length)] for _ in range(count)]


def answer(peer: Any, question: dict[str, Any]) -> dict[str, float]:
    """Seconds of what is asked for."""
    if question["work"] == "open":
        start = time.perf_counter()
        peer.open(
            question["model"], question["threads"], question["options"], question["adapters"], question["together"]
        )
        opened = time.perf_counter()
        peer.generate(prompts(1, 1), 1)
        return {"open": opened - start, "first": time.perf_counter() - start}
    if question["work"] == "prefill":
        return {"prefill": peer.generate(prompts(1, question["prompt"]), 1)[0]}
    if question["work"] == "decode":
        first, whole = peer.generate(prompts(question["sessions"], 4), question["tokens"] + 1, question.get("scale"))
        return {"decode": whole - first}
    if question["work"] == "memory":
        with open("/proc/self/status", encoding="ascii") as file:
            peak = next(line for line in file if line.startswith("VmHWM"))
        return {"peak": int(peak.split()[1]) / 1024}
    raise SystemExit(f"unknown work {question['work']}")


def main() -> None:
    """Answers until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What the packages print is no answer.
    peer = {"openvino": OpenVINO, "ctranslate2": CTranslate2}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
