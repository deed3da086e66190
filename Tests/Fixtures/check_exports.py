#!/usr/bin/env python3
"""Check that others serve what is exported: transformers, peft, and llama.cpp through its converters.

Run by hand after `swift build -c release`, with the packages of requirements.txt beside this file, and for llama.cpp
`gguf` and `sentencepiece`, its source folder and its build folder:

    PYTHONPATH=bindings/python python Tests/Fixtures/check_exports.py [--llama SOURCE BUILD]

Every blend of every fixture soup and of the demo soup is exported and opened, its logits compared with the blend's own,
as ‖difference‖ / ‖logits‖ of the worst position. Exits with 1 where one is above its bound.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import bonesoup
import numpy
import peft
import torch
import transformers

FIXTURES = pathlib.Path(__file__).resolve().parent
BENCHMARKS = FIXTURES.parent / "Benchmarks"
TOKENS = [1, 5, 9, 33, 17, 2, 60, 41, 7, 90, 3, 3, 28]
# Activations in bf16 cost these random models up to six per cent at the worst position.
F32, BF16 = 1e-4, 0.1


class Checks:
    def __init__(self):
        self.failed = False

    def compare(self, what, got, wanted, bound):
        worst = max(float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b)) for a, b in zip(got, wanted, strict=True))
        self.failed |= not worst <= bound
        print(f"{'ok ' if worst <= bound else 'BAD'} {what:66} {worst:.1e} (at most {bound:.0e})", flush=True)


def own(blend):
    with blend.session() as session:
        session.append(TOKENS)
        session.decode(all_logits=True)
        return numpy.stack([numpy.asarray(session.logits(position)) for position in range(len(TOKENS))])


def theirs(folder, adapter=None, dtype=torch.float32):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model.eval()(torch.tensor([TOKENS])).logits[0].float().numpy()


def soups():
    """Yield each soup's folder, its base's, and the coefficients to try."""
    for folder in sorted((FIXTURES / "soups").iterdir()):
        data = (folder / "expected.safetensors").read_bytes()
        length = int.from_bytes(data[:8], "little")
        entry = json.loads(data[8 : 8 + length])["coefficients"]
        start, end = entry["data_offsets"]
        rows = numpy.frombuffer(data[8 + length + start : 8 + length + end], "<f4").reshape(entry["shape"])
        yield folder, [list(map(float, row)) for row in rows]
    yield FIXTURES / "demo-soup", [[1.5, -0.7, 0.9], [-1.0, 0.5, 2.0]]


def base_of(soup):
    return soup / json.loads((soup / "soup.json").read_text())["base"]


def check_soup(checks, path, rows, out):
    for number, coefficients in enumerate(rows):
        name = f"{path.name} {coefficients}"
        with bonesoup.Soup.open(path, weights="f32") as soup:
            with soup.blend(coefficients=coefficients, kind="folded") as blend:
                wanted = own(blend)
                blend.export(out / f"f32-{number}", format="f32")
                blend.export(out / f"bf16-{number}", format="bf16", shard_size=50_000)
            checks.compare(f"{name} transformers f32", theirs(out / f"f32-{number}"), wanted, F32)
            half = out / f"bf16-{number}"
            with bonesoup.Soup.open(half, weights="f32") as rounded, rounded.blend() as blend:
                checks.compare(f"{name} transformers, bf16 weights", theirs(half), own(blend), F32)
            checks.compare(f"{name} transformers, all in bf16", theirs(half, dtype=torch.bfloat16), wanted, BF16)
            if not soup.info.live:
                continue
            adapter = out / f"adapter-{number}"
            soup.export(adapter, point={"coefficients": coefficients}, kind="adapter", format="f32")
            checks.compare(f"{name} peft", theirs(base_of(path), adapter), wanted, F32)
            with soup.blend(coefficients=coefficients, kind="live") as blend:
                checks.compare(f"{name} live", own(blend), wanted, F32)


def check_factored(checks, out):
    """A full backbone of which the matrices alone differ, factored at full rank."""
    path = FIXTURES / "soups" / "llama3-full"
    with bonesoup.Soup.open(path, weights="f32") as soup:
        soup.factor(0, out / "factored", rank=64, vectors="drop")
    with bonesoup.Soup.open(base_of(path), weights="f32") as soup:
        soup.add_backbone(out / "factored")
        with soup.blend(coefficients=[1.0]) as blend:
            checks.compare("factored at full rank, peft", theirs(base_of(path), out / "factored"), own(blend), F32)


def check_llama(checks, source, build, out):
    """The demo soup through convert_hf_to_gguf and convert_lora_to_gguf, in f32."""
    libraries = [build / "src/libllama.a", *sorted((build / "ggml/src").glob("*.a"))]
    program = out / "llama_logits"
    includes = [f"-I{source}/include", f"-I{source}/ggml/include"]
    command = ["g++", "-O1", "-o", program, FIXTURES / "llama_logits.cpp", *includes, "-Wl,--start-group", *libraries]
    subprocess.run([*command, "-Wl,--end-group", "-lpthread", "-ldl", "-fopenmp"], check=True)
    (out / "tokens").write_bytes(numpy.array(TOKENS, "<i4").tobytes())
    vocabulary = json.loads((base_of(FIXTURES / "demo-soup") / "config.json").read_text())["vocab_size"]

    def convert(script, *words):
        environment = {"PYTHONPATH": f"{source}:{source}/gguf-py", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, *script, *words], env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)

    def whole(folder, target):
        convert([BENCHMARKS / "convert_gguf.py", source], folder, "--outtype", "f32", "--outfile", target)

    def logits(model, adapter):
        subprocess.run([program, model, adapter, out / "tokens", out / "logits"], check=True)
        return numpy.frombuffer((out / "logits").read_bytes(), "<f4").reshape(len(TOKENS), vocabulary)

    path = FIXTURES / "demo-soup"
    whole(base_of(path), out / "base.gguf")
    for number, coefficients in enumerate([[1.5, -0.7, 0.9], [-1.0, 0.5, 2.0]]):
        with bonesoup.Soup.open(path, weights="f32") as soup:
            point = {"coefficients": coefficients}
            soup.export(out / f"whole-{number}", point=point, format="f32")
            soup.export(out / f"lora-{number}", point=point, kind="adapter", format="f32")
            with soup.blend(coefficients=coefficients, kind="folded") as blend:
                wanted = own(blend)
        whole(out / f"whole-{number}", out / f"whole-{number}.gguf")
        got = logits(out / f"whole-{number}.gguf", "-")
        checks.compare(f"demo-soup {coefficients} llama.cpp, folder", got, wanted, 1e-3)
        lora = out / f"lora-{number}"
        convert([source / "convert_lora_to_gguf.py"], "--base", base_of(path), lora, "--outtype", "f32",
                "--outfile", out / f"lora-{number}.gguf")  # fmt: skip
        got = logits(out / "base.gguf", out / f"lora-{number}.gguf")
        checks.compare(f"demo-soup {coefficients} llama.cpp, adapter", got, wanted, 1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama", nargs=2, type=pathlib.Path, metavar=("SOURCE", "BUILD"))
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        for path, rows in soups():
            (out / path.name).mkdir()
            check_soup(checks, path, rows, out / path.name)
        check_factored(checks, out)
        if options.llama:
            check_llama(checks, *(path.resolve() for path in options.llama), out)
    sys.exit(checks.failed)


if __name__ == "__main__":
    main()
