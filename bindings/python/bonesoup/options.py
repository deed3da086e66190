"""The keyword arguments of calls that blend and generate. Each may be left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict, Union

from bonesoup.cancel import Cancel

if TYPE_CHECKING:
    from bonesoup._callbacks import LogitsHook, OnText, Progress

Format = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q8_128"]
BlendKind = Literal["auto", "folded", "live"]
# By the names of objectives (one that is absent counts 0), or in their order.
Preference = Union[Mapping[str, float], Sequence[float]]
# A text, or its tokens.
Prompt = Union[str, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A parameter of a merge method for some tensors of some model; the first that fits counts, a model's own first."""

    name: str
    # One number, or a gradient from the first layer to the last.
    value: float | Sequence[float]
    # Only tensors whose names contain this; None: all.
    filter: str | None = None
    # The model's place; None: all.
    model: int | None = None


@dataclasses.dataclass(frozen=True)
class Layers:
    """Layers of one model that go into a merge of slices: its layers `first` to `first` + `count` − 1."""

    # The first model's is 0, every other's that of the model before it or the next.
    slice: int
    first: int
    # The same for all models of a slice.
    count: int


@dataclasses.dataclass(frozen=True)
class MethodChoice:
    """How folded blends are made: a merge method that is for soups. The coefficients are its weights."""

    name: str
    # Of its parameters, without "weight" and "normalize"; `model` is a backbone's number.
    settings: tuple[Setting, ...] = ()
    # Of random methods.
    seed: int = 0


class BlendChoice(TypedDict, total=False):
    """Which point of the soup; of the first three at most one, and none is the soup's default preference."""

    # How much each objective matters: not negative, summing to 1 (within 0.02: then it is renormalised).
    preference: Preference | None
    # λ itself, one per backbone, never renormalised.
    coefficients: Sequence[float] | None
    # The name of one of the soup's presets.
    preset: str | None
    # "auto" (default) is "live" where every backbone is low-rank, else "folded".
    kind: BlendKind
    # Folded only: the format of the blend's weights; by default the soup's.
    weights: Format | None
    # How a folded blend is made: a merge method for soups, by name or with its parameters; by default the soup's.
    method: str | MethodChoice | None
    # Live only: [backbone][layer], times λ in that layer.
    layer_multipliers: Sequence[Sequence[float]] | None


class SamplingOptions(TypedDict, total=False):
    """How a token is picked, applied in this order: hook, logit bias, penalties, temperature, top-k, top-p, min-p."""

    # 0 (default): greedy, the lowest token number among equals.
    temperature: float
    # 0 (default): off.
    top_k: int
    # 1 (default): off.
    top_p: float
    # 0 (default): off.
    min_p: float
    # 1 (default): off. Divides positive and multiplies negative logits of seen tokens.
    repetition_penalty: float
    # 0 (default): off. Subtracted once from the logit of each seen token.
    presence_penalty: float
    # 0 (default): off. Subtracted once per occurrence.
    frequency_penalty: float
    # How many last tokens, the prompt's too, count as seen; −1 (default): all.
    penalty_window: int
    # Alternatives to report per token, at most 100; default 0.
    top_logprobs: int
    # Default 0.
    seed: int
    # Added to tokens' logits; −infinity forbids a token.
    logit_bias: Mapping[int, float] | None
    # Sees and may change the logits before sampling: hook(logits, tokens), views that end with the call.
    hook: LogitsHook | None


class GenerateOptions(SamplingOptions, total=False):
    """How a text is generated, and when it ends."""

    # New tokens at most; default 256. 0: the prompt is computed and nothing more.
    max_tokens: int
    # The text ends before the first of these strings that appears; at most 16, of at most 256 bytes.
    stop: str | Sequence[str]
    # Tokens that end the text, beside the model's own end tokens.
    stop_tokens: Sequence[int]
    # The model's end tokens do not end the text.
    ignore_end: bool
    # The base alone reads the prompt, and the blend writes the response: one computed prompt serves many blends.
    response_only: bool
    # Add the tokens that the tokenizer puts around a text (BOS); default True.
    special: bool
    # Take the spelling of a special token in the prompt for that token; default False.
    parse_special: bool
    # Gets new text as it comes, whole characters; returning False ends the text.
    on_text: OnText | None
    # Gets the share of the prompt that is computed; returning False cancels. True: bars on a terminal, of a fold too.
    progress: Progress | None
    # Stops the call when requested.
    cancel: Cancel | None


class Request(GenerateOptions, BlendChoice, total=False):
    """All of these, and the room that a text gets."""

    # Positions at most; 0 (default): as many as the call can need.
    context: int
    # The format of the KV cache; by default f32 with f32 weights, else the weights' format.
    kv_format: Format | None
