"""Full backbones made low-rank, and backbones compared, against NumPy."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import bonesoup
from support import (
    MODELS,
    SOUPS,
    Adapter,
    Floats,
    Shape,
    logits_of,
    read_tensors,
    relative,
    same_bits,
    worst,
    write_model,
)

TOKENS = [1, 5, 9, 33, 17, 2, 60, 41, 7]
SHAPE = Shape(hidden=64, layers=2, inner=96, heads=4, vocab=160)


def tuned(tensors: dict[str, Floats], seed: int, decay: float = 0.85) -> dict[str, Floats]:
    """Return a fine-tune whose matrices all changed, with singular values that fall by `decay`."""
    generator = numpy.random.default_rng(seed)
    result = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            u, _, v = numpy.linalg.svd(generator.standard_normal(tensor.shape), full_matrices=False)
            change = (u * decay ** numpy.arange(len(v))) @ v
            result[name] = (tensor + change).astype("f4")
    return result


@pytest.fixture
def pair(tmp_path: Path) -> tuple[bonesoup.Soup, dict[str, Floats], dict[str, Floats]]:
    base = SHAPE.random_tensors(1)
    changed = tuned(base, 2)
    soup = bonesoup.Soup.open(write_model(tmp_path / "base", SHAPE, base))
    soup.add_backbone(write_model(tmp_path / "tuned", SHAPE, changed))
    return soup, base, changed


def spectrum(base: Floats, changed: Floats) -> Any:
    return numpy.linalg.svd(changed.astype("f8") - base.astype("f8"), compute_uv=False)


def kept(folder: Path, name: str) -> Any:
    """What an adapter's file adds to a weight, in float64."""
    tensors = read_tensors(folder / "adapter_model.safetensors")
    module = "base_model.model." + name[: -len(".weight")]
    if module + ".lora_embedding_A" in tensors:
        down, up = tensors[module + ".lora_embedding_A"], tensors[module + ".lora_embedding_B"]
        return (up.astype("f8") @ down.astype("f8")).T
    return tensors[module + ".lora_B.weight"].astype("f8") @ tensors[module + ".lora_A.weight"].astype("f8")


@pytest.mark.parametrize("rank", [1, 5, 16, 40])
def test_a_rank_comes_near_the_least_error_and_is_measured(pair: Any, rank: int, tmp_path: Path) -> None:
    soup, base, changed = pair
    with soup:
        result = soup.factor(0, tmp_path / "out", rank=rank)
    assert result.rank == rank
    assert {tensor.name for tensor in result.tensors} == {name for name, value in base.items() if value.ndim == 2}
    for tensor in result.tensors:
        values = spectrum(base[tensor.name], changed[tensor.name])
        least = float(numpy.linalg.norm(values[rank:]) / numpy.linalg.norm(values))
        change = changed[tensor.name].astype("f8") - base[tensor.name]
        measured = relative(kept(tmp_path / "out", tensor.name), change)
        assert tensor.error == pytest.approx(measured, rel=1e-3, abs=1e-6)
        assert least - 1e-5 <= measured <= least * 1.01 + 1e-5, tensor.name
        assert tensor.norm == pytest.approx(numpy.linalg.norm(change), rel=1e-5)
        assert tensor.rank == min(rank, *tensor.shape) and tensor.shape == base[tensor.name].shape
    norms = sum(tensor.norm**2 for tensor in result.tensors)
    lost = sum((tensor.norm * tensor.error) ** 2 for tensor in result.tensors)
    assert result.error == pytest.approx((lost / norms) ** 0.5, rel=1e-9)


def test_a_flat_spectrum_is_the_hardest_and_comes_within_two_per_cent(tmp_path: Path) -> None:
    base = SHAPE.random_tensors(1)
    changed = tuned(base, 2, decay=1.0)
    for name, value in changed.items():  # noise: all directions alike
        if value.ndim == 2:
            noise = numpy.random.default_rng(7).standard_normal(value.shape).astype("f4")
            changed[name] = base[name] + numpy.float32(0.01) * noise
    with bonesoup.Soup.open(write_model(tmp_path / "base", SHAPE, base)) as soup:
        soup.add_backbone(write_model(tmp_path / "tuned", SHAPE, changed))
        result = soup.factor(0, tmp_path / "out", rank=8)
    for tensor in result.tensors:
        values = spectrum(base[tensor.name], changed[tensor.name])
        least = float(numpy.linalg.norm(values[8:]) / numpy.linalg.norm(values))
        assert tensor.error <= least * 1.02


def test_full_rank_loses_nothing_and_is_live(pair: Any, tmp_path: Path) -> None:
    soup, _, _ = pair
    with soup:
        result = soup.factor(0, tmp_path / "out", rank=1000)
        with soup.blend(coefficients=[1.0]) as blend:
            wanted = logits_of(blend, TOKENS)
    assert result.rank == 64 and result.error < 1e-5
    assert all(tensor.error < 1e-5 for tensor in result.tensors)
    with bonesoup.Soup.open(tmp_path / "base") as soup:
        soup.add_backbone(tmp_path / "out")
        for kind in ("folded", "live"):
            with soup.blend(coefficients=[1.0], kind=kind) as blend:
                assert blend.kind == kind
                assert worst(logits_of(blend, TOKENS), wanted) < 1e-4


@pytest.mark.parametrize("limit", [0.5, 0.1, 0.01, 1e-4])
def test_an_error_is_kept_with_few_ranks(pair: Any, limit: float, tmp_path: Path) -> None:
    soup, base, changed = pair
    with soup:
        result = soup.factor(0, tmp_path / "out", max_error=limit)
    for tensor in result.tensors:
        values = spectrum(base[tensor.name], changed[tensor.name])
        tails = numpy.sqrt(numpy.cumsum((values**2)[::-1])[::-1]) / numpy.linalg.norm(values)
        fewest = int(numpy.searchsorted(-tails, -limit))
        assert tensor.error <= limit
        assert fewest <= tensor.rank <= fewest + max(2, fewest // 8), tensor.name
    assert result.rank == max(tensor.rank for tensor in result.tensors)


def test_a_factored_backbone_mixes_like_the_full_one(pair: Any, tmp_path: Path) -> None:
    """With negative coefficients, and beside another adapter."""
    soup, base, changed = pair
    other = Adapter(SHAPE, 9)
    with soup:
        soup.factor(0, tmp_path / "out", max_error=1e-5)
        soup.add_backbone(other.write(tmp_path / "other"))
        with soup.blend(coefficients=[-0.5, 1.5]) as blend:
            wanted = logits_of(blend, TOKENS)
    with bonesoup.Soup.open(tmp_path / "base") as soup:
        soup.add_backbone(tmp_path / "out")
        soup.add_backbone(tmp_path / "other")
        with soup.blend(coefficients=[-0.5, 1.5], kind="live") as blend:
            assert worst(logits_of(blend, TOKENS), wanted) < 1e-3


def test_norms_that_differ_are_named_or_dropped(tmp_path: Path) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        with pytest.raises(bonesoup.UnsupportedError, match=r"input_layernorm\.weight differs.*fold"):
            soup.factor(1, tmp_path / "out", rank=4)
        assert os.listdir(tmp_path) == []
        result = soup.factor(1, tmp_path / "out", rank=4, vectors="drop")
    dropped = [tensor for tensor in result.tensors if tensor.rank == 0]
    assert dropped and all(tensor.error == 1 and "norm" in tensor.name for tensor in dropped)
    assert all(tensor.shape[0] == 1 for tensor in dropped)


def test_formats_count_in_the_error(pair: Any, tmp_path: Path) -> None:
    soup, *_ = pair
    with soup:
        errors = [soup.factor(0, tmp_path / name, rank=64, format=name).error for name in ("f32", "bf16", "f16")]
        assert errors[0] < 1e-5 < errors[2] < 1e-3 < errors[1] < 1e-2
        with pytest.raises(bonesoup.UnsupportedError, match="write f32"):
            soup.factor(0, tmp_path / "out", max_error=1e-4, format="bf16")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_factored_says_why(pair: Any, tmp_path: Path) -> None:
    soup, base, changed = pair
    out = tmp_path / "out"
    with soup:
        soup.add_backbone(Adapter(SHAPE, 9).write(tmp_path / "adapter"))
        soup.add_backbone(write_model(tmp_path / "same", SHAPE, base))
        broken = dict(changed)
        name = "model.layers.0.mlp.up_proj.weight"
        broken[name] = broken[name].copy()
        broken[name][3, 4] = numpy.nan
        soup.add_backbone(write_model(tmp_path / "broken", SHAPE, broken))
        with pytest.raises(bonesoup.InvalidArgumentError, match="low-rank already"):
            soup.factor(1, out)
        with pytest.raises(bonesoup.InvalidArgumentError, match="nothing to factor"):
            soup.factor(2, out)
        with pytest.raises(bonesoup.MalformedError, match=r"layers\.0\.mlp\.up_proj.*NaN"):
            soup.factor(3, out)
        for backbone in (9, -1):
            with pytest.raises(bonesoup.NotFoundError, match="no backbone"):
                soup.factor(backbone, out)
        for limit in (0.0, 1.0, -1.0, math.nan, math.inf):
            with pytest.raises(bonesoup.InvalidArgumentError, match="max_error"):
                soup.factor(0, out, max_error=limit)
        for rank in (0, -1, 65_537, 1 << 40):
            with pytest.raises(bonesoup.InvalidArgumentError, match="rank"):
                soup.factor(0, out, rank=rank)
        with pytest.raises(bonesoup.InvalidArgumentError, match="exists already"):
            soup.factor(0, tmp_path / "base", rank=4)
        with pytest.raises(bonesoup.CancelledError):
            soup.factor(0, out, rank=4, progress=lambda share: share < 0.4)
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_any_number_of_threads_gives_the_same_file(pair: Any, tmp_path: Path) -> None:
    pair[0].close()
    files = []
    for threads in (1, 2, 3):
        with bonesoup.Soup.open(tmp_path / "base", threads=threads) as soup:
            soup.add_backbone(tmp_path / "tuned")
            soup.factor(0, tmp_path / str(threads), max_error=0.2)
            files.append((tmp_path / str(threads) / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1] == files[2]


# Comparing.


def statement(base: dict[str, Floats], others: list[dict[str, Floats]], names: list[str]) -> dict[str, Any]:
    """What a comparison says, in float64; Δ is taken in f32, as there."""
    deltas = [numpy.concatenate([(other[name] - base[name]).ravel() for name in names]) for other in others]
    wide = [delta.astype("f8") for delta in deltas]
    norms = [float(numpy.linalg.norm(delta)) for delta in wide]
    count = len(deltas)
    signs = numpy.stack([numpy.sign(delta) for delta in deltas])
    several = (signs != 0).sum(0) > 1
    both = [[(a != 0) & (b != 0) for b in deltas] for a in deltas]
    return {
        "norms": norms,
        "largest": [float(numpy.abs(delta).max()) for delta in deltas],
        "changed": [float((delta != 0).mean()) for delta in deltas],
        "cosines": [[float(wide[i] @ wide[j] / (norms[i] * norms[j])) for j in range(count)] for i in range(count)],
        "agreements": [[float((signs[i] == signs[j])[both[i][j]].mean()) for j in range(count)] for i in range(count)],
        "conflict": float(numpy.asarray((signs > 0).any(0) & (signs < 0).any(0))[several].mean()),
        "cancellation": float(1 - numpy.abs(sum(wide)).sum() / sum(numpy.abs(delta).sum() for delta in wide)),
        "base_norm": float(numpy.linalg.norm(numpy.concatenate([base[name].ravel().astype("f8") for name in names]))),
    }


def check_compared(tensor: bonesoup.ComparedTensor, wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        got = numpy.asarray(getattr(tensor, name))
        numpy.testing.assert_allclose(got, numpy.asarray(value), rtol=1e-5, atol=1e-7, err_msg=f"{tensor.name}: {name}")


def test_a_comparison_is_what_numpy_says(pair: Any, tmp_path: Path) -> None:
    soup, base, changed = pair
    second = tuned(base, 3)
    name = "model.layers.1.mlp.down_proj.weight"
    second[name] = base[name].copy()
    second[name][:, ::2] = changed[name][:, ::2]  # half of it alike, half unchanged
    third = {key: value + numpy.float32(0.01) for key, value in base.items()}
    with soup:
        for number, tensors in enumerate((second, third)):
            soup.add_backbone(write_model(tmp_path / str(number), SHAPE, tensors))
        comparison = soup.compare()
    assert len(comparison.backbones) == 3
    names = [tensor.name for tensor in comparison.tensors]
    assert sorted(names) == sorted(base)
    for tensor in comparison.tensors:
        assert tensor.elements == base[tensor.name].size
        if base[tensor.name].ndim == 2:
            check_compared(tensor, statement(base, [changed, second, third], [tensor.name]))
        else:
            assert tensor.shape == (1, base[tensor.name].size)
            assert tensor.norms[0] == 0 and math.isnan(tensor.cosines[0][2]) and math.isnan(tensor.conflict)
    check_compared(comparison.total, statement(base, [changed, second, third], names))


def test_adapters_are_compared_by_what_they_add(tmp_path: Path) -> None:
    base = SHAPE.random_tensors(1)
    adapters = [Adapter(SHAPE, 5), Adapter(SHAPE, 6, modules=[(0, "mlp.up_proj")])]
    with bonesoup.Soup.open(write_model(tmp_path / "base", SHAPE, base)) as soup:
        for number, adapter in enumerate(adapters):
            soup.add_backbone(adapter.write(tmp_path / str(number)))
        comparison = soup.compare()
    zero = {name: numpy.zeros_like(value) for name, value in base.items()}
    merged = [adapter.merged(zero, 1.0) for adapter in adapters]
    for tensor in comparison.tensors:
        norms = [float(numpy.linalg.norm(other[tensor.name])) for other in merged]
        assert tensor.norms == pytest.approx(norms, rel=1e-5)
    (both,) = [tensor for tensor in comparison.tensors if tensor.name == "model.layers.0.mlp.up_proj.weight"]
    a, b = (other[both.name].ravel().astype("f8") for other in merged)
    assert both.cosines[0][1] == pytest.approx(a @ b / (numpy.linalg.norm(a) * numpy.linalg.norm(b)), abs=1e-5)
    assert both.agreements[0][1] == pytest.approx(float((numpy.sign(a) == numpy.sign(b)).mean()), abs=1e-3)


def test_any_number_of_threads_compares_the_same() -> None:
    found = []
    for threads in (1, 2, 4):
        with bonesoup.Soup.open(SOUPS / "llama3-lora", threads=threads) as soup:
            found.append(repr(soup.compare()))
    assert found[0] == found[1] == found[2]


def test_a_soup_without_backbones_has_nothing_to_compare() -> None:
    with (
        bonesoup.Soup.open(MODELS / "llama3") as soup,
        pytest.raises(bonesoup.InvalidArgumentError, match="nothing to compare"),
    ):
        soup.compare()


def test_a_comparison_reports_and_is_cancelled() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-full") as soup:
        shares: list[float] = []
        soup.compare(progress=shares.append)
        assert shares == sorted(shares) and shares[-1] == 1
        with pytest.raises(bonesoup.CancelledError):
            soup.compare(progress=lambda share: share < 0.5)


# The commands.


def command(*arguments: Any) -> subprocess.CompletedProcess[str]:
    package = str(Path(bonesoup.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "bonesoup", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": package},
    )


def test_the_commands_export_factor_and_diff(tmp_path: Path) -> None:
    full, lora = SOUPS / "llama3-full", SOUPS / "llama3-lora"
    done = command("export", lora, tmp_path / "adapter", "--adapter", "--rank", 2, "--preference", "brief=1", "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert set(value) == {"path", "kind", "blend", "factoring"} and value["factoring"]["rank"] == 8
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
    done = command("export", full, tmp_path / "folder", "--coefficients", "-.5,1", "--format", "bf16")
    assert done.returncode == 0 and done.stdout == f"wrote {tmp_path / 'folder'}\n"
    with bonesoup.Soup.open(full) as soup:
        soup.export(tmp_path / "again", point={"coefficients": [-0.5, 1.0]}, format="bf16")
    for name in ("model.safetensors", "README.md"):
        assert (tmp_path / "folder" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    done = command("factor", full, tmp_path / "factored", "--backbone", 1, "--rank", 3, "--drop-vectors", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"path", "rank", "error", "tensors"}
    done = command("factor", full, tmp_path / "refused")
    assert done.returncode == 6 and done.stderr.count("\n") == 1
    done = command("export", full, tmp_path / "folder")
    assert done.returncode == 2 and "exists already" in done.stderr
    done = command("diff", full, "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert set(value) == {"backbones", "tensors", "total"} and len(value["total"]["norms"]) == 2
    two = command("diff", MODELS / "llama3", full / "backbones" / "0", full / "backbones" / "1")
    named = command("diff", "--base", MODELS / "llama3", full / "backbones" / "0", full / "backbones" / "1")
    assert two.returncode == named.returncode == 0 and two.stdout == named.stdout
    assert two.stdout.splitlines()[-1].split()[:2] == ["all", "together"]
    assert command("diff", MODELS / "llama3").returncode == 2


def test_factored_models_are_not_the_base(pair: Any, tmp_path: Path) -> None:
    soup, base, _ = pair
    with soup:
        soup.factor(0, tmp_path / "out", rank=2)
        soup.export(tmp_path / "base-again", point={"coefficients": [0.0]})
    again = read_tensors(tmp_path / "base-again" / "model.safetensors")
    assert all(same_bits(again[name], value) for name, value in base.items())
