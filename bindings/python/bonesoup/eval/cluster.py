"""The sweep on many machines: points shared among workers by Ray. All see one folder (a shared file system)."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from bonesoup.errors import Status, error


def share(options: argparse.Namespace, workers: int) -> None:
    """Measure all points, each worker every n-th; what a worker has written stays, so that it can be gone on with."""
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise error(Status.UNSUPPORTED, "--workers needs Ray: pip install 'bonesoup[ray]'") from None
    started = not ray.is_initialized()
    if started:
        ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    try:
        measure = ray.remote(num_cpus=1)(shard)
        ray.get([measure.remote(vars(options), index, workers) for index in range(workers)])
    finally:
        if started:
            ray.shutdown()


def shard(options: dict[str, Any], index: int, count: int) -> int:
    """Measure one share, on one thread."""
    from bonesoup.eval.command import evaluate

    evaluate(argparse.Namespace(**{**options, "workers": 1, "threads": 1}), (index, count))
    return index
