"""The constants of bonesoup.h; a test compares them with the header. Python's names for their values stand beside."""

from __future__ import annotations

ABI_VERSION = 1

FORMATS = {"f32": 1, "f16": 2, "bf16": 3, "q8_0": 4, "q4_0": 5, "q8_128": 6}
LOADS = {"map": 0, "copy": 1}
VERIFICATIONS = {"checksums": 1, "finite": 2}
GUARDS = {"reject": 0, "clamp": 1}
BLENDS = {"auto": 0, "folded": 1, "live": 2}
ADJUSTMENTS = {"renormalized": 1, "clamped": 2}
TOKENIZE_SPECIAL = 1
TOKENIZE_PARSE_SPECIAL = 2
DETOKENIZE_SKIP_SPECIAL = 1
POLICIES = {"recompute": 0, "continue": 1}
FINISHES = {
    "none": 0,
    "end": 1,
    "stop_token": 2,
    "stop_string": 3,
    "length": 4,
    "context": 5,
    "callback": 6,
    "cancelled": 7,
    "error": 8,
}
EXPORTS = {"folder": 0, "adapter": 1}
VECTORS = {"refuse": 0, "drop": 1}
METHOD_BASES = {"unused": 0, "optional": 1, "required": 2}
NEGATIVES = {"ignored": 0, "signed": 1, "factor": 2}
# At most so many objectives, and so many backbones, may be in a soup.
LIMIT = 64
