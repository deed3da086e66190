"""Which process this is of those that train in parallel; the launcher says it in the environment."""

from __future__ import annotations

import os

from bonesoup.train.extras import need


def is_main() -> bool:
    """Say whether this is the process that writes."""
    return os.environ.get("RANK", "0") == "0"


def device() -> str:
    """Return this process's device: on a machine with several GPUs, one each."""
    gpus = need("torch").cuda.device_count()
    # A launcher may show each process its own GPU only.
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % gpus}" if gpus else "cpu"
