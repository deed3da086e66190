"""mergekit-yaml with its sorts made stable, to be run by mergekit's own Python: python mergekit_stable.py CONFIG OUT …

mergekit leaves to PyTorch's unstable sort which of equal magnitudes are kept; here the lower index is the greater one.
What it computes is otherwise untouched.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import torch
from mergekit.scripts.run_yaml import main

_argsort, _topk = torch.argsort, torch.topk


def argsort(values: Any, dim: int = -1, descending: bool = False) -> Any:
    return _argsort(values, dim=dim, descending=descending, stable=True)


def sort(values: Any, descending: bool = False) -> Any:
    indices = _argsort(values, descending=True, stable=True)
    return SimpleNamespace(indices=indices if descending else indices.flip(0))


def topk(values: Any, k: int, largest: bool = True) -> Any:
    return (None, _argsort(values, descending=True, stable=True)[:k]) if largest else _topk(values, k, largest=False)


if __name__ == "__main__":
    torch.argsort, torch.sort, torch.topk = argsort, sort, topk
    sys.exit(main())
