"""Where the peers and the models lie, and how they get there: once, whatever was interrupted."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence

from cells import SHAPES

HERE = pathlib.Path(__file__).resolve().parent

SOURCES = {"llama.cpp": ("llama-cpp-python", "0.3.36"), "ik_llama.cpp": ("ik-llama-cpp-python", "0.1.5")}
"""The Python packages whose sources hold the programs."""

BUILD_INFORMATION = """\
# Stand-in for a file that the source distribution lacks: build information that names nothing.
set(BUILD_NUMBER 0)
set(BUILD_COMMIT "unknown")
set(BUILD_COMPILER "unknown")
set(BUILD_TARGET "unknown")
configure_file("common/build-info.cpp.in" "common/build-info.cpp")
"""

OFF = ("GGML_BLAS", "GGML_CUDA", "LLAMA_CURL", "LLAMA_OPENSSL", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_SERVER")
CMAKE = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON"]
CMAKE += [f"-D{name}=OFF" for name in (*OFF, "LLAMA_BUILD_UI", "BUILD_SHARED_LIBS")]


class Unavailable(Exception):
    """A peer or a model that can't be had; the text says why."""


class Cache:
    """The folder of everything that is installed, built, made or converted."""

    def __init__(self, folder: pathlib.Path, shared: pathlib.Path, jobs: int) -> None:
        self.folder, self.shared, self.jobs = folder.resolve(), shared, jobs
        self.folder.mkdir(parents=True, exist_ok=True)
        self.unavailable: dict[str, str] = {}

    def run(self, command: Sequence[object], what: str, **environment: str) -> None:
        """Runs a command with its output in a log."""
        log = self.folder / "log.txt"
        print(f"{what} ...", file=sys.stderr, flush=True)
        with log.open("a") as file:
            file.write(f"\n==== {what}\n")
            file.flush()
            done = subprocess.run(
                [str(word) for word in command],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                check=False,
                env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
            )
        if done.returncode != 0:
            raise Unavailable(f"{what} failed (see {log.name} in the cache)")

    def once(self, name: str) -> tuple[pathlib.Path, bool]:
        """A folder, and whether it is finished; call `finish` when it is."""
        path = self.folder / name
        return path, (path / "finished").exists()

    # Environments

    def python(self) -> pathlib.Path:
        """The peers' Python."""
        path, finished = self.once("venv")
        if not finished:
            self.environment(path)
            self.run(
                [path / "bin/pip", "install", "-r", HERE / "requirements.txt"], "installing the peers' Python packages"
            )
            finish(path)
        return path / "bin/python"

    def export_python(self) -> pathlib.Path:
        """The Python that exports models for OpenVINO."""
        base = self.python()
        path, finished = self.once("export")
        if not finished:
            self.environment(path)
            site = next((path / "lib").glob("python*/site-packages"))
            packages = next((base.parent.parent / "lib").glob("python*/site-packages"))
            (site / "zz.pth").write_text(f"{packages}\n")
            self.run(
                [path / "bin/pip", "install", "--no-deps", "-r", HERE / "requirements-export.txt"],
                "installing what exports models for OpenVINO",
            )
            finish(path)
        return path / "bin/python"

    def environment(self, path: pathlib.Path) -> None:
        """An empty environment."""
        shutil.rmtree(path, ignore_errors=True)
        self.run([sys.executable, "-m", "venv", path], f"making {path.name}")

    # Programs

    def source(self, peer: str) -> pathlib.Path:
        """The unpacked C++ sources of a peer."""
        package, version = SOURCES[peer]
        path, finished = self.once(f"src/{peer}")
        if not finished:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            pip = self.python().parent / "pip"
            self.run(
                [pip, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", path]
                + [f"{package}=={version}"],
                f"downloading {package} {version}",
            )
            with tarfile.open(next(path.glob("*.tar.gz"))) as archive:
                archive.extractall(path, filter="data")
            information = next(path.glob(f"*/vendor/{peer}")) / "common/cmake/build-info-gen-cpp.cmake"
            if peer == "ik_llama.cpp" and not information.exists():
                information.parent.mkdir(exist_ok=True)
                information.write_text(BUILD_INFORMATION)
            finish(path)
        return next(path.glob(f"*/vendor/{peer}"))

    def programs(self, peer: str) -> pathlib.Path:
        """The folder of a peer's llama_peer, and of llama.cpp's llama-quantize and llama-bench."""
        source = self.source(peer)
        path, finished = self.once(peer)
        binaries = self.python().parent
        search = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        if not finished:
            self.run([binaries / "cmake", "-S", source, "-B", path, *CMAKE], f"configuring {peer}", **search)
            targets = ["llama", *(["llama-quantize", "llama-bench"] if peer == "llama.cpp" else [])]
            self.run(
                [binaries / "cmake", "--build", path, "-j", str(self.jobs), "--target", *targets],
                f"building {peer} (minutes)",
                **search,
            )
            finish(path)
        program, text = path / "bin/llama_peer", HERE / "llama_peer.cpp"
        if not program.exists() or program.stat().st_mtime < text.stat().st_mtime:
            libraries = [path / "src/libllama.a", *sorted(path.glob("ggml/src/*.a"))]
            self.run(
                ["g++", "-O2", "-std=c++17", *(["-DIK"] if peer == "ik_llama.cpp" else [])]
                + [f"-I{source / 'include'}", f"-I{source / 'ggml/include'}", text, "-o", program]
                + ["-Wl,--start-group", *libraries, "-Wl,--end-group", "-fopenmp", "-ldl", "-lpthread"],
                f"building llama_peer for {peer}",
            )
        return path / "bin"

    # Models

    def models(self, shape: str) -> pathlib.Path:
        """The folder with base, lora0 ..., tune0 ... and the soups lora.json and tune.json."""
        path, finished = self.once(f"models/{shape}")
        if not finished:
            maker = self.shared / "tools/make_models.py"
            if not maker.exists():
                raise Unavailable(f"{maker} is not there; say where it is by --shared")
            self.run([self.python(), maker, SHAPES[shape], path, "1"], f"making random models in the shape of {shape}")
            finish(path)
        for kind in ("lora", "tune"):
            names = sorted(folder.name for folder in path.glob(f"{kind}*") if folder.is_dir())
            soup = {
                "bonesoup": 1,
                "base": "base",
                "objectives": [{"name": name} for name in names],
                "backbones": [{"path": name} for name in names],
                "matrix": {"rule": "identity"},
            }
            (path / f"{kind}.json").write_text(json.dumps(soup, indent=1))
        return path

    def gguf(self, shape: str, format: str) -> pathlib.Path:
        """A model in llama.cpp's format."""
        models = self.models(shape)
        path = self.folder / f"gguf/{shape}-{format}.gguf"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            if format in ("bf16", "f16"):
                script = [HERE / "convert_gguf.py", self.source("llama.cpp"), models / "base"]
                command = [self.python(), *script, "--outtype", format, "--outfile", partial]
            else:
                # The head of q4_0 in q8_0, as ours: a tied head is the embedding.
                head = ["--output-tensor-type", "q8_0", "--token-embedding-type", "q8_0"]
                program = self.programs("llama.cpp") / "llama-quantize"
                command = [program, *(head if format == "q4_0" else []), self.gguf(shape, "bf16"), partial, format]
            self.run(command, f"converting {shape} to {format} for llama.cpp")
            partial.rename(path)
        return path

    def gguf_adapters(self, shape: str) -> list[pathlib.Path]:
        """The three adapters in llama.cpp's format."""
        models, source = self.models(shape), self.source("llama.cpp")
        result = []
        for index in range(3):
            path = self.folder / f"gguf/{shape}-lora{index}.gguf"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                partial = path.with_suffix(".partial")
                self.run(
                    [self.python(), source / "convert_lora_to_gguf.py", "--base", models / "base"]
                    + [models / f"lora{index}", "--outtype", "f16", "--outfile", partial],
                    f"converting adapter {index} of {shape} for llama.cpp",
                    PYTHONPATH=str(source / "gguf-py"),
                )
                partial.rename(path)
            result.append(path)
        return result

    def openvino(self, shape: str, format: str) -> pathlib.Path:
        """A model that OpenVINO GenAI opens: bf16, int8 (per channel) or int4 (groups of 32)."""
        path, finished = self.once(f"openvino/{shape}-{format}")
        if not finished:
            self.run(
                [self.export_python(), HERE / "export_openvino.py", self.models(shape) / "base", path, format],
                f"exporting {shape} as {format} for OpenVINO",
            )
            finish(path)
        return path

    def ctranslate2(self, shape: str, format: str) -> pathlib.Path:
        """A model that CTranslate2 opens: bfloat16 or int8."""
        path, finished = self.once(f"ctranslate2/{shape}-{format}")
        if not finished:
            converter = self.python().parent / "ct2-transformers-converter"
            self.run(
                [converter, "--model", self.models(shape) / "base", "--output_dir", path, "--quantization", format]
                + ["--force"],
                f"converting {shape} to {format} for CTranslate2",
            )
            finish(path)
        return path


def finish(path: pathlib.Path) -> None:
    """Says that a folder is whole."""
    (path / "finished").touch()
