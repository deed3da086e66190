"""The tests of training itself are for where the extra `train` is installed: `bash Tests/run training`."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("trl") else ["test_classifier.py", "test_grpo.py"]
