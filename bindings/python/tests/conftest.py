"""What all tests share. Those of training itself are for where the extra `train` is: `bash Tests/run training`."""

from __future__ import annotations

import importlib.util
import signal

collect_ignore = [] if importlib.util.find_spec("trl") else ["test_classifier.py", "test_grpo.py"]

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)
