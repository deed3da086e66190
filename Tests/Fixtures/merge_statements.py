"""The merge methods as NumPy statements: one function for each, of whole tensors, in double precision unless rounding is
part of the definition. No merging library is asked; Philox is Random123's definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
F32 = np.float32


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Philox4x32-10 of counters [n, 4]; Salmon et al., SC 2011."""
    x = counter.astype(np.uint64)
    k0, k1 = key
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = x[:, 0] * np.uint64(0xD2511F53), x[:, 2] * np.uint64(0xCD9E8D57)
        x = np.stack(
            [
                (b >> np.uint64(32)) ^ x[:, 1] ^ np.uint64(k0),
                b & low,
                (a >> np.uint64(32)) ^ x[:, 3] ^ np.uint64(k1),
                a & low,
            ],
            axis=1,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return x.astype(np.uint32)


def fnv(name: str) -> int:
    """The 64-bit FNV-1a of a name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def words(name: str, model: int, shape: Sequence[int], seed: int) -> Array:
    """The random words of a tensor's elements."""
    count = int(np.prod(shape))
    blocks = (count + 3) // 4
    counter = np.zeros((blocks, 4), dtype=np.uint64)
    counter[:, 0] = np.arange(blocks)
    counter[:, 1], counter[:, 2], counter[:, 3] = fnv(name) >> 32, model, fnv(name) & 0xFFFFFFFF
    return philox(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(-1)[:count].reshape(shape)


def greatest(values: Array, count: int) -> Array:
    """A mask of the `count` greatest magnitudes, the lower index first among equals."""
    order = np.argsort(-np.abs(values.reshape(-1)), kind="stable")
    mask = np.zeros(values.size, dtype=bool)
    mask[order[:count]] = True
    return mask.reshape(values.shape)


def by_magnitude(delta: Array, density: float, **_: Any) -> Array:
    return greatest(delta, max(1, int(density * delta.size))) if density > 0 else np.zeros(delta.shape, bool)


def without_outliers(delta: Array, density: float, gamma: float = 0.01, **_: Any) -> Array:
    kept = int(density * delta.size)
    dropped = min(int(gamma * delta.size), delta.size - kept)
    return greatest(delta, kept + dropped) & ~greatest(delta, dropped)


def at_random(delta: Array, density: float, draw: Array, **_: Any) -> Array:
    return draw < np.uint32(int(density * 2**32))


def by_rank(delta: Array, density: float, draw: Array, epsilon: float = 0.15, **_: Any) -> Array:
    rows = np.abs(delta).reshape(-1, delta.shape[-1])
    ranks = np.argsort(np.argsort(rows, axis=1, kind="stable"), axis=1, kind="stable")
    length = rows.shape[1]
    share = (ranks.astype(F32) / F32(length - 1)) if length > 1 else np.full(rows.shape, 0.5, F32)
    probability = F32(density - epsilon) + share * F32(2) * F32(epsilon)
    limits = (probability.astype(np.float64) * 2**32).astype(np.uint64)
    return draw.reshape(rows.shape).astype(np.uint64) < limits


Thinning = Callable[..., Array]


def task_vectors(thinning: Thinning | None, elects: bool) -> Callable[..., Array]:
    """θ₀ + lambda·Σ of thinned, rescaled, weighted and perhaps elected task vectors."""

    def merge(
        name: str,
        base: Array,
        models: Sequence[Array],
        weight: Sequence[float],
        density: Sequence[float] | None = None,
        normalize: bool = False,
        rescale: bool = False,
        seed: int = 0,
        **others: Any,
    ) -> Array:
        deltas = []
        for index, model in enumerate(models):
            delta = (model - base).astype(F32)
            share = 1.0 if density is None else density[index]
            if thinning is not None and share < 1:
                each = {key: value[index] for key, value in others.items() if isinstance(value, (list, tuple))}
                draw = words(name, index, delta.shape, seed)
                kept = np.where(thinning(delta, share, draw=draw, **each).reshape(delta.shape), delta, F32(0))
                if rescale:
                    before, after = F32(np.abs(delta).sum(dtype=np.float64)), F32(np.abs(kept).sum(dtype=np.float64))
                    if before >= 1e-7 and after >= 1e-7:
                        kept = kept * (before / after)
                delta = kept
            deltas.append(delta.astype(np.float64) * F32(weight[index]))
        stack = np.stack(deltas)
        shape = (-1,) + (1,) * base.ndim
        weights = np.array([F32(value) for value in weight], dtype=np.float64).reshape(shape)
        if elects:
            sign = np.where(stack.sum(axis=0) >= 0, 1.0, -1.0)
            agrees = np.sign(stack) == sign
            mixed, divisor = (stack * agrees).sum(axis=0), (weights * agrees).sum(axis=0)
            divisor = np.where(divisor == 0, 1.0, divisor)
        else:
            mixed, divisor = stack.sum(axis=0), weights.sum()
            divisor = 1.0 if abs(divisor) < 1e-8 else divisor
        if normalize:
            mixed = mixed / divisor
        return base + others.get("lambda", 1.0) * mixed

    return merge


def linear(
    name: str, base: Array, models: Sequence[Array], weight: Sequence[float], normalize: bool = True, **_: Any
) -> Array:
    total = sum(F32(value) * np.asarray(model, np.float64) for value, model in zip(weight, models))
    return total / sum(F32(value) for value in weight) if normalize else total


def slerp(name: str, base: Array, models: Sequence[Array], t: float, **_: Any) -> Array:
    a, b = base.astype(np.float64), models[0].astype(np.float64)
    cosine = (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))
    if abs(cosine) > 0.9995:
        return (1 - t) * a + t * b
    angle = np.arccos(cosine)
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def nuslerp(
    name: str,
    base: Array | None,
    models: Sequence[Array],
    weight: Sequence[float],
    nuslerp_flatten: bool = True,
    nuslerp_row_wise: bool = False,
    **_: Any,
) -> Array:
    t = weight[1] / sum(weight)
    start = np.zeros(models[0].shape) if base is None else base.astype(np.float64)
    a, b = (model.astype(np.float64) - start for model in models)
    axis: Any = None if nuslerp_flatten or a.ndim == 1 else 0 if nuslerp_row_wise else -1
    norms = [np.sqrt((x * x).sum(axis=axis, keepdims=True)) for x in (a, b)]
    angle = np.arccos((a * b).sum(axis=axis, keepdims=True) / (norms[0] * norms[1]))
    return start + (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def sce(name: str, base: Array, models: Sequence[Array], select_topk: float = 1.0, **_: Any) -> Array:
    stack = np.stack([(model - base).astype(F32) for model in models]).astype(np.float64)
    if select_topk < 1:
        variance = stack.var(axis=0).astype(F32)
        stack = stack * greatest(variance, int(np.count_nonzero(variance) * select_topk))
    sign = np.where(stack.sum(axis=0) >= 0, 1.0, -1.0)
    agrees = np.sign(stack) == sign
    energy = (stack**2).reshape(len(models), -1).mean(axis=1)
    total = energy.sum()
    weights = np.full(len(models), 1 / len(models)) if total < 1e-6 else energy / total
    shaped = weights.reshape((-1,) + (1,) * base.ndim) * agrees
    return base + (stack * shaped).sum(axis=0) / np.maximum(shaped.sum(axis=0), 1e-6)


def model_stock(name: str, base: Array, models: Sequence[Array], filter_wise: bool = False, **_: Any) -> Array:
    shape = (-1, base.shape[-1]) if filter_wise else (1, -1)
    deltas = [(model - base).astype(np.float64).reshape(shape) for model in models]
    n = len(models)
    cosines = [
        (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-6)
        for i, a in enumerate(deltas)
        for b in deltas[i + 1 :]
    ]
    cosine = np.clip(np.stack(cosines), -1, 1).mean(axis=0)
    t = n * cosine / (1 + (n - 1) * cosine)
    return base + (t[:, None] * sum(deltas) / n).reshape(base.shape)


def passthrough(name: str, base: Array, models: Sequence[Array], scale: Sequence[float], **_: Any) -> Array:
    return F32(scale[0]) * models[0].astype(np.float64)


def is_layer_matrix(name: str, tensor: Array) -> bool:
    return tensor.ndim == 2 and not name.endswith(("embed_tokens.weight", "lm_head.weight"))


def iso_c(name: str, base: Array, models: Sequence[Array], weight: Sequence[float], **others: Any) -> Array:
    if not is_layer_matrix(name, base):
        return task_vectors(None, False)(name, base, models, weight, **others)
    total = sum(F32(w) * (model - base).astype(np.float64) for w, model in zip(weight, models))
    u, s, v = np.linalg.svd(total, full_matrices=False)
    return base + others.get("lambda", 1.0) * s.mean() * u @ v


def tsv(name: str, base: Array, models: Sequence[Array], weight: Sequence[float], **others: Any) -> Array:
    if not is_layer_matrix(name, base):
        return task_vectors(None, False)(name, base, models, weight, **others)
    n, size = len(models), min(base.shape)
    share = max(1, size // n)
    parts = [
        np.linalg.svd(F32(w) * (model - base).astype(np.float64), full_matrices=False)
        for w, model in zip(weight, models)
    ]
    u = np.concatenate([part[0][:, :share] for part in parts], axis=1)
    s = np.concatenate([part[1][:share] for part in parts])
    v = np.concatenate([part[2][:share] for part in parts], axis=0)

    def orthogonal(matrix: Array) -> Array:
        p, _, q = np.linalg.svd(matrix, full_matrices=False)
        return np.asarray(p @ q)

    return base + others.get("lambda", 1.0) * orthogonal(u) @ np.diag(s) @ orthogonal(v)


def knots(
    name: str,
    base: Array,
    models: Sequence[Array],
    weight: Sequence[float],
    density: Sequence[float] | None = None,
    normalize: bool = True,
    **others: Any,
) -> Array:
    if not is_layer_matrix(name, base):
        return task_vectors(by_magnitude, True)(name, base, models, weight, density, normalize, **others)
    deltas = [F32(w) * (model - base).astype(np.float64) for w, model in zip(weight, models)]
    u, s, v = np.linalg.svd(np.concatenate(deltas, axis=1), full_matrices=False)
    aligned = np.split(np.diag(s) @ v, len(models), axis=1)
    ones = [1.0] * len(models)
    merged = task_vectors(by_magnitude, True)(name, np.zeros(aligned[0].shape), aligned, ones, density, normalize)
    return base + others.get("lambda", 1.0) * u @ merged


METHODS: dict[str, Callable[..., Array]] = {
    "linear": linear,
    "task_arithmetic": task_vectors(None, False),
    "slerp": slerp,
    "nuslerp": nuslerp,
    "ties": task_vectors(by_magnitude, True),
    "dare_linear": task_vectors(at_random, False),
    "dare_ties": task_vectors(at_random, True),
    "della": task_vectors(by_rank, True),
    "della_linear": task_vectors(by_rank, False),
    "breadcrumbs": task_vectors(without_outliers, False),
    "breadcrumbs_ties": task_vectors(without_outliers, True),
    "sce": sce,
    "model_stock": model_stock,
    "passthrough": passthrough,
    "iso_c": iso_c,
    "tsv": tsv,
    "knots": knots,
}
