"""BoneSoup: controllable multi-objective text generation.

>>> import bonesoup
>>> with bonesoup.Soup.open("my-soup") as soup:
...     print(soup.generate("Once upon a time", preference={"brief": 0.7, "happy": 0.3}).text)
"""

from bonesoup._files import FileSource
from bonesoup._library import build_info, version
from bonesoup.blend import Blend
from bonesoup.blend_info import BlendInfo
from bonesoup.cancel import Cancel
from bonesoup.comparison import ComparedTensor, Comparison
from bonesoup.engine import Engine
from bonesoup.errors import (
    BoneSoupError,
    BusyError,
    CancelledError,
    ChecksumError,
    ContextFullError,
    FileReadError,
    ForkedError,
    GuardRailError,
    InternalError,
    InvalidArgumentError,
    MalformedError,
    MismatchError,
    NotFoundError,
    NotReadyError,
    OutOfMemoryError,
    StaleHandleError,
    Status,
    UnsolvableError,
    UnsupportedError,
)
from bonesoup.factoring import FactoredTensor, Factoring
from bonesoup.generation import Generation, Logprob, Stats
from bonesoup.merging import MergeBlock, MergePlan, MergeProgress, Method, MethodParameter, merge, methods
from bonesoup.options import Layers, MethodChoice, Setting
from bonesoup.progress import ProgressBar
from bonesoup.session import Session, SessionInfo, Step, decode, generate_batch
from bonesoup.soup import Soup
from bonesoup.soup_info import Backbone, Norm, Objective, SoupInfo

__version__ = "1.0.0"

__all__ = [
    "Backbone",
    "Blend",
    "BlendInfo",
    "BoneSoupError",
    "BusyError",
    "Cancel",
    "CancelledError",
    "ChecksumError",
    "ComparedTensor",
    "Comparison",
    "ContextFullError",
    "Engine",
    "FactoredTensor",
    "Factoring",
    "FileReadError",
    "FileSource",
    "ForkedError",
    "Generation",
    "GuardRailError",
    "InternalError",
    "InvalidArgumentError",
    "Layers",
    "Logprob",
    "MalformedError",
    "MergeBlock",
    "MergePlan",
    "MergeProgress",
    "Method",
    "MethodChoice",
    "MethodParameter",
    "MismatchError",
    "Norm",
    "NotFoundError",
    "NotReadyError",
    "Objective",
    "OutOfMemoryError",
    "ProgressBar",
    "Session",
    "SessionInfo",
    "Setting",
    "Soup",
    "SoupInfo",
    "StaleHandleError",
    "Stats",
    "Status",
    "Step",
    "UnsolvableError",
    "UnsupportedError",
    "build_info",
    "decode",
    "generate_batch",
    "merge",
    "methods",
    "version",
]
