"""Modules that come with the extra `train`."""

from __future__ import annotations

import importlib
from typing import Any

from bonesoup.errors import Status, error


def need(name: str) -> Any:
    """Import a module, or say what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as failure:
        missing = failure.name or name
        raise error(
            Status.UNSUPPORTED, f"training needs {missing}: pip install 'bonesoup[train]' (with [eval] for seek)"
        ) from None
