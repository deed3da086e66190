"""Merging files: every method against the committed statements, mergekit's YAML, progress, interruptions."""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import time
from typing import Any

import pytest

import bonesoup
from bonesoup import Setting
from bonesoup.cli import main
from bonesoup.merge_config import read_config
from support import FIXTURES

MERGES = FIXTURES / "merges"
CASES: list[dict[str, Any]] = json.loads((MERGES / "cases.json").read_text())


def tensors(path: pathlib.Path) -> dict[str, tuple[float, ...]]:
    """Return the F32 tensors of a safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            found[name] = struct.unpack(f"<{(end - begin) // 4}f", data[start + begin : start + end])
    return found


def distance(values: tuple[float, ...], wanted: tuple[float, ...]) -> float:
    assert len(values) == len(wanted)
    lost = sum((a - b) ** 2 for a, b in zip(values, wanted))
    return float((lost / sum(b * b for b in wanted)) ** 0.5)


def settings(case: dict[str, Any]) -> list[Setting]:
    found: list[Setting] = []
    for name, value in case["parameters"].items():
        if isinstance(value, list):
            found += [Setting(name, part, model=model) for model, part in enumerate(value)]
        else:
            found.append(Setting(name, float(value)))
    return found


def base_of(case: dict[str, Any]) -> pathlib.Path | None:
    return MERGES / "base" if case["base"] else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_methods_are_their_statements(case: dict[str, Any], tmp_path: pathlib.Path) -> None:
    models = [MERGES / f"tune{index}" for index in range(case["models"])]
    out = tmp_path / "out"
    plan = bonesoup.merge(
        models,
        out,
        method=case["method"],
        base=base_of(case),
        settings=settings(case),
        format="f32",
        seed=case["seed"],
        sync=False,
    )
    assert plan.tensor_count == 6 and plan.peak_memory > 0 and len(plan.fingerprint) == 64
    expected = tensors(MERGES / "expected.safetensors")
    bound = 2e-4 if case["method"] in ("iso_c", "tsv", "knots") else 1e-6
    for name, values in tensors(out / "model.safetensors").items():
        assert distance(values, expected[f"{case['name']}/{name}"]) < bound, name


def test_every_method_has_a_case_and_says_what_it_takes() -> None:
    listed = bonesoup.methods()
    assert {method.name for method in listed} == {case["method"] for case in CASES}
    ties = next(method for method in listed if method.name == "ties")
    assert (ties.base, ties.models[0], ties.negative, ties.for_soups) == ("required", 1, "signed", True)
    density = next(parameter for parameter in ties.parameters if parameter.name == "density")
    assert (density.default, density.minimum, density.maximum, density.per_model) == (1.0, 0.0, 1.0, True)
    assert next(parameter for parameter in ties.parameters if parameter.name == "weight").default is None


def test_a_method_of_ones_own_sees_every_element(tmp_path: pathlib.Path) -> None:
    seen = []

    def largest(block: bonesoup.MergeBlock) -> None:
        assert block.base is not None and block.weights == (1.0, 2.0)
        for index in range(len(block.result)):
            block.result[index] = max(model[index] for model in block.models)
        seen.append(len(block.result))

    models = [MERGES / "tune1", MERGES / "tune2"]
    bonesoup.merge(
        models,
        tmp_path / "out",
        method=largest,
        base=MERGES / "base",
        settings=[Setting("weight", 2.0, model=1)],
        format="f32",
    )
    merged = tensors(tmp_path / "out" / "model.safetensors")
    assert sum(seen) == sum(map(len, merged.values()))
    last = tensors(MERGES / "tune2" / "model.safetensors")
    assert all(value >= other - 1e-6 for name in merged for value, other in zip(merged[name], last[name]))

    def broken(block: bonesoup.MergeBlock) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        bonesoup.merge(models, tmp_path / "other", method=broken)
    assert not (tmp_path / "other").exists()


def yaml_file(tmp_path: pathlib.Path, **document: Any) -> str:
    path = tmp_path / "config.yml"
    path.write_text(json.dumps(document))
    return str(path)


def test_mergekits_yaml_is_read(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "config.yml"
    path.write_text(
        f"""
merge_method: ties
base_model: {MERGES}/base
models:
  - model: {MERGES}/tune0
    parameters:
      weight: [0.1, 0.9]
      density: 1e-1
  - model: {{model: {{path: {MERGES}/tune1}}}}
    parameters:
      weight:
        - filter: mlp
          value: 0.5
        - value: 1
parameters: {{normalize: true, int8_mask: true}}
dtype: float32
out_dtype: bfloat16
"""
    )
    config = read_config(str(path))
    assert (config.method, config.format, config.base) == ("ties", "bf16", f"{MERGES}/base")
    assert config.settings == (
        Setting("weight", [0.1, 0.9], None, 0),
        Setting("density", 0.1, None, 0),
        Setting("weight", 0.5, "mlp", 1),
        Setting("weight", 1.0, None, 1),
        Setting("normalize", 1.0),
        Setting("int8_mask", 1.0),
    )
    assert main(["merge", str(path), str(tmp_path / "out"), "--no-sync"]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"merge_method": "ties"}, bonesoup.MalformedError),
        ({"merge_method": "ties", "slices": []}, bonesoup.MalformedError),
        ({"merge_method": "ties", "slices": [{"sources": [{"model": "."}]}]}, bonesoup.MalformedError),
        (
            {"merge_method": "ties", "slices": [{"sources": [{"model": ".", "layer_range": [2, 2]}]}]},
            bonesoup.MalformedError,
        ),
        ({"merge_method": "ties", "slices": [], "models": []}, bonesoup.MalformedError),
        ({"merge_method": "ties", "models": [{"model": "."}], "modules": {}}, bonesoup.UnsupportedError),
        ({"merge_method": "ties", "models": [{"model": "nowhere"}]}, bonesoup.NotFoundError),
        ({"merge_method": "ties", "models": [{"model": "."}], "dtype": "int8"}, bonesoup.UnsupportedError),
        ({"merge_method": "ties", "models": [{"model": "."}], "parameters": {"t": "x"}}, bonesoup.MalformedError),
        ({"models": [{"model": "."}]}, bonesoup.MalformedError),
        ({"merge_method": "ties", "models": [{"model": "."}], "heat": 1}, bonesoup.UnsupportedError),
    ],
)
def test_wrong_yaml_is_refused(document: dict[str, Any], status: type[Exception], tmp_path: pathlib.Path) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(status):
        read_config(yaml_file(tmp_path, **document))


def slices(*given: tuple[tuple[str, int, int], ...]) -> list[dict[str, Any]]:
    """Return mergekit's slices of (model, first layer, layer behind the last)."""
    return [
        {"sources": [{"model": str(MERGES / name), "layer_range": [first, end]} for name, first, end in sources]}
        for sources in given
    ]


def test_layers_of_models_are_stacked(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("yaml")
    document: dict[str, Any] = {
        "merge_method": "passthrough",
        "slices": slices((("tune2", 0, 2),), (("base", 1, 2),), (("tune2", 0, 1),)),
    }
    document["slices"][2]["sources"][0]["parameters"] = {"scale": [{"filter": "up_proj", "value": 2}, {"value": 1}]}
    assert main(["merge", yaml_file(tmp_path, **document), str(tmp_path / "out"), "--no-sync"]) == 0
    base, tune = (tensors(MERGES / name / "model.safetensors") for name in ("base", "tune2"))
    up, norm = "model.layers.{}.mlp.up_proj.weight", "model.layers.{}.input_layernorm.weight"
    down, query = "model.layers.{}.mlp.down_proj.weight", "model.layers.{}.self_attn.q_proj.weight"
    expected = {name: tune[name] for name in ("model.embed_tokens.weight", "model.norm.weight")}
    expected |= {name.format(0): tune[name.format(0)] for name in (up, norm)}
    expected |= {name.format(1): tune[name.format(1)] for name in (down, query)}
    expected |= {name.format(2): base[name.format(1)] for name in (down, query)}
    expected |= {norm.format(3): tune[norm.format(0)], up.format(3): tuple(2 * x for x in tune[up.format(0)])}
    assert tensors(tmp_path / "out" / "model.safetensors") == expected
    assert json.loads((tmp_path / "out" / "config.json").read_text())["num_hidden_layers"] == 4
    card = (tmp_path / "out" / "README.md").read_text()
    assert "tune2, layers 0 to 1 in slice 0" in card and "base, layers 1 to 1 in slice 1" in card


def test_a_slice_is_merged_like_whole_models_with_gradients_of_its_own(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("yaml")
    document: dict[str, Any] = {
        "merge_method": "slerp",
        "base_model": str(MERGES / "base"),
        "slices": slices((("base", 0, 1), ("tune2", 0, 1)), (("base", 1, 2), ("tune2", 1, 2))),
        "parameters": {"t": [0.25, 0.75]},
    }
    document["slices"][0]["parameters"] = {"t": 0.5}
    assert main(["merge", yaml_file(tmp_path, **document), str(tmp_path / "out"), "--no-sync"]) == 0
    merged = tensors(tmp_path / "out" / "model.safetensors")
    for t, layer in ((0.5, "model.layers.0."), (0.75, "model.layers.1."), (0.5, "model.embed"), (0.25, "model.norm")):
        bonesoup.merge(
            [MERGES / "tune2"], tmp_path / f"{layer}whole", method="slerp", base=MERGES / "base",
            settings=[Setting("t", t)], sync=False,
        )  # fmt: skip
        for name, values in tensors(tmp_path / f"{layer}whole" / "model.safetensors").items():
            if name.startswith(layer):
                assert merged[name] == values, name


def test_what_cannot_be_sliced_says_why(tmp_path: pathlib.Path) -> None:
    layers = [bonesoup.Layers(0, 1, 1), bonesoup.Layers(0, 0, 1)]
    models = [MERGES / "base", MERGES / "tune0"]

    def refusal(**how: Any) -> str:
        with pytest.raises(bonesoup.BoneSoupError) as failure:
            bonesoup.merge(
                models, tmp_path / "out", **{"method": "linear", "settings": [Setting("weight", 1.0)], **how}
            )
        return str(failure.value)

    assert "2 models, and layers of 1" in refusal(layers=layers[:1])
    assert "different numbers of layers" in refusal(layers=[layers[0], bonesoup.Layers(0, 0, 2)])
    assert "slices are numbered from 0" in refusal(layers=[bonesoup.Layers(1, 0, 1), layers[1]])
    assert "has no layer 5" in refusal(layers=[bonesoup.Layers(0, 5, 1), layers[1]])
    assert "1 to 65536 are possible" in refusal(layers=[bonesoup.Layers(0, 0, 2**32 - 1), layers[1]])
    # The first has layer 1's tensors, and the second is asked for those of layer 0.
    assert "lacks the tensor" in refusal(layers=layers)
    assert "list the base among the slice's models" in refusal(
        method="task_arithmetic", base=MERGES / "tune1", layers=[layers[1], layers[1]]
    )
    assert not (tmp_path / "out").exists()


def test_the_list_of_layer_types_follows_the_layers(tmp_path: pathlib.Path) -> None:
    for name, types in (("a", ["full_attention", "sliding_attention"]), ("b", ["sliding_attention", "full_attention"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes((MERGES / "tune2" / "model.safetensors").read_bytes())
        config = {"num_hidden_layers": 2, "layer_types": types, "end": 1}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    layers = [bonesoup.Layers(0, 0, 2), bonesoup.Layers(1, 0, 1)]
    bonesoup.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out", method="passthrough", layers=layers, sync=False)
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {
        "num_hidden_layers": 3,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        "end": 1,
    }


def test_the_command_lists_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "dare_ties"]) == 0
    assert "density" in capsys.readouterr().out
    assert main(["methods", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["methods"]) == len(bonesoup.methods())
    assert main(["methods", "stir"]) == 3


def large_model(folder: pathlib.Path, value: float, size: int = 1 << 23) -> pathlib.Path:
    """Write a model of two tensors, `size` bytes of them."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    half = size // 2
    header = json.dumps(
        {
            f"model.layers.{index}.mlp.up_proj.weight": {
                "dtype": "F32",
                "shape": [half // 1024, 256],
                "data_offsets": [index * half, (index + 1) * half],
            }
            for index in range(2)
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    block = struct.pack("<f", value) * (size // 4)
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + block)
    return folder


def test_progress_has_rate_and_time_left_and_false_cancels(tmp_path: pathlib.Path) -> None:
    models = [large_model(tmp_path / "a", 1.0, 1 << 27), large_model(tmp_path / "b", 3.0, 1 << 27)]
    weights = [Setting("weight", 1.0)]
    seen: list[bonesoup.MergeProgress] = []
    bonesoup.merge(models, tmp_path / "out", method="linear", settings=weights, sync=False, progress=seen.append)
    assert seen[-1].share == 1 and seen[-1].bytes_per_second > 0 and seen[-1].seconds_left == 0
    assert [item.share for item in seen] == sorted(item.share for item in seen)
    with pytest.raises(bonesoup.CancelledError):
        bonesoup.merge(models, tmp_path / "no", method="linear", settings=weights, progress=lambda progress: False)
    cancel = bonesoup.Cancel()
    cancel.request()
    with pytest.raises(bonesoup.CancelledError):
        bonesoup.merge(models, tmp_path / "no", method="linear", settings=weights, cancel=cancel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "out"]


def test_a_budget_below_the_plan_is_refused_and_the_plan_is_enough(tmp_path: pathlib.Path) -> None:
    models = [large_model(tmp_path / "a", 1.0), large_model(tmp_path / "b", 3.0)]
    how: dict[str, Any] = {"method": "ties", "base": models[0], "settings": [Setting("weight", 1.0)]}
    how["settings"].append(Setting("density", 0.5))
    with bonesoup.Engine(2) as engine:
        peak = bonesoup.merge(models[1:], None, engine=engine, **how).peak_memory
    with bonesoup.Engine(2, memory_budget=peak) as engine:
        bonesoup.merge(models[1:], tmp_path / "out", engine=engine, sync=False, **how)
        assert engine.memory == 0
    with bonesoup.Engine(2, memory_budget=peak // 2) as engine, pytest.raises(bonesoup.OutOfMemoryError):
        bonesoup.merge(models[1:], tmp_path / "no", engine=engine, **how)


@pytest.mark.parametrize("method", ["linear", "ties"])
def test_a_killed_merge_leaves_the_target_absent_or_whole(method: str, tmp_path: pathlib.Path) -> None:
    models = [large_model(tmp_path / name, value, 1 << 26) for name, value in (("a", 1.0), ("b", 3.0))]
    out = tmp_path / "out"
    program = (
        "import sys, bonesoup\n"
        "from bonesoup import Setting\n"
        "models, out, method = sys.argv[1:3], sys.argv[3], sys.argv[4]\n"
        "density = [Setting('density', 0.5)] if method == 'ties' else []\n"
        "print(flush=True)\n"
        "bonesoup.merge(models, out, method=method, base=models[0] if density else None,\n"
        "               settings=[Setting('weight', 1.0), *density])\n"
    )
    command = [sys.executable, "-c", program, *map(str, models), str(out), method]
    chance = random.Random(2026)
    for _ in range(10):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            child.wait()
        if out.exists():
            # It was faster than the signal: whole, then, and out of the way for the next round.
            assert len(tensors(out / "model.safetensors")) == 2
            for path in out.iterdir():
                path.unlink()
            out.rmdir()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # TIES keeps half of an equal change.
    expected = {2.0} if method == "linear" else {1.0, 3.0}
    assert {value for values in tensors(out / "model.safetensors").values() for value in values} == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "out"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    models = [large_model(tmp_path / "a", 1.0), large_model(tmp_path / "b", 3.0)]
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(bonesoup.FileReadError, match="free|full"):
            bonesoup.merge(models, disk / "out", method="linear", settings=[Setting("weight", 1.0)])
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("method", ["linear", "ties"])
@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_source_that_changes_in_the_middle_is_an_error(method: str, harm: str, tmp_path: pathlib.Path) -> None:
    models = [large_model(tmp_path / name, value, 1 << 27) for name, value in (("a", 1.0), ("b", 3.0))]
    file = models[1] / "model.safetensors"
    seen: list[float] = []

    def spoil(progress: bonesoup.MergeProgress) -> None:
        if 0 < progress.share < 0.9 and not seen:
            seen.append(progress.share)
            with file.open("r+b") as stream:
                if harm == "cut":
                    stream.truncate(file.stat().st_size // 4)
                else:
                    stream.seek(-4, os.SEEK_END)
                    stream.write(b"bone")

    how: dict[str, Any] = {"method": method, "settings": [Setting("weight", 1.0)]}
    if method == "ties":
        how["base"] = models[0]
        how["settings"].append(Setting("density", 0.5))
    with pytest.raises(bonesoup.FileReadError, match=r"b/model\.safetensors"):
        bonesoup.merge(models, tmp_path / "out", progress=spoil, sync=False, **how)
    assert seen and sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    # It fails as a disk does that fills up on the way, and needs no rights.
    models = [large_model(tmp_path / name, value) for name, value in (("a", 1.0), ("b", 3.0))]
    program = (
        "import resource, sys, bonesoup\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "bonesoup.merge(sys.argv[1:3], sys.argv[3], method='linear', settings=[bonesoup.Setting('weight', 1.0)])\n"
    )
    command = [sys.executable, "-c", program, *map(str, models), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "FileReadError" in done.stderr and "model.safetensors" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_blends_by_a_method_are_folded_and_another_blend() -> None:
    with bonesoup.Soup.open(FIXTURES / "soups" / "llama3-full") as soup:
        plain = soup.blend(coefficients=[1.5, -0.5])
        method = bonesoup.MethodChoice("ties", (Setting("density", 0.5),))
        trimmed = soup.blend(coefficients=[1.5, -0.5], method=method)
        assert plain.info.kind == trimmed.info.kind == "folded"
        assert plain.info.fingerprint != trimmed.info.fingerprint
        soup.set_method(method)
        assert soup.blend(coefficients=[1.5, -0.5]).info.fingerprint == trimmed.info.fingerprint
        assert soup.blend(coefficients=[1.5, -0.5], method="linear").info.fingerprint == plain.info.fingerprint
        with pytest.raises(bonesoup.UnsupportedError, match="for files"):
            soup.set_method("slerp")
        with pytest.raises(bonesoup.InvalidArgumentError, match="leave weight out"):
            soup.set_method(bonesoup.MethodChoice("ties", (Setting("weight", 1.0),)))
