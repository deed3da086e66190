"""Keyword arguments as the C option structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ctypes import c_char_p, pointer
from typing import Any, cast

from bonesoup import _constants, _structs
from bonesoup._callbacks import Callbacks
from bonesoup._convert import doubles, floats, options, put, tokens, word
from bonesoup.options import BlendChoice, GenerateOptions, MethodChoice, Request, Setting


def _known(given: Mapping[str, object], kind: Any, call: str) -> None:
    unknown = sorted(set(given) - set(kind.__optional_keys__))
    if unknown:
        raise TypeError(f"{call} got an unexpected keyword argument {unknown[0]!r}")


def split(request: Request, call: str) -> tuple[BlendChoice, GenerateOptions, dict[str, Any]]:
    """Return the parts of a request: which blend, how to generate, and the rest."""
    _known(request, Request, call)
    choice = {key: value for key, value in request.items() if key in BlendChoice.__optional_keys__}
    how = {key: value for key, value in request.items() if key in GenerateOptions.__optional_keys__}
    rest = {key: value for key, value in request.items() if key not in choice and key not in how}
    return cast(BlendChoice, choice), cast(GenerateOptions, how), rest


def format_number(value: str | None, name: str) -> int:
    """Return the number of a weight or KV format; None is the default."""
    return 0 if value is None else word(_constants.FORMATS, value, name)


def blend_options(choice: BlendChoice) -> Any:
    """Return bsoup_blend_options, which keeps all that it points to."""
    _known(choice, BlendChoice, "blend()")
    wish = options(_structs.BlendOptions, "bsoup_blend_options_init")
    preference = choice.get("preference")
    if isinstance(preference, Mapping):
        named = (_structs.NamedValue * len(preference))()
        for entry, (name, value) in zip(named, preference.items()):
            entry.name, entry.value = name.encode(), value
        wish.named, wish.named_count = named, len(named)
    elif preference is not None:
        values = doubles(preference)
        wish.preference, wish.preference_count = values, len(values)
    coefficients = choice.get("coefficients")
    if coefficients is not None:
        values = doubles(coefficients)
        wish.coefficients, wish.coefficient_count = values, len(values)
    preset = choice.get("preset")
    if preset is not None:
        wish.preset = preset.encode()
    multipliers = choice.get("layer_multipliers")
    if multipliers is not None:
        values = floats(value for backbone in multipliers for value in backbone)
        wish.layer_multipliers, wish.layer_multiplier_count = values, len(values)
    method = choice.get("method")
    if method is not None:
        wish.method = pointer(method_options(method))
    wish.kind = word(_constants.BLENDS, choice.get("kind", "auto"), "kind")
    wish.weights = format_number(choice.get("weights"), "weights")
    return wish


def method_options(method: str | MethodChoice) -> Any:
    """Return bsoup_method_options, which keeps all that it points to."""
    chosen = MethodChoice(method) if isinstance(method, str) else method
    wish = options(_structs.MethodOptions, "bsoup_method_options_init")
    parameters = merge_parameters(chosen.settings)
    wish.name = chosen.name.encode()
    wish.parameters, wish.parameter_count = parameters, len(parameters)
    wish.kept = parameters
    put(wish, "seed", chosen.seed, "seed")
    return wish


def merge_parameters(settings: Sequence[Setting]) -> Any:
    """Return settings as a C array, which keeps what it points to."""
    array: Any = (_structs.MergeParameter * len(settings))()
    array.kept = []
    for raw, setting in zip(array, settings):
        values = doubles([setting.value] if isinstance(setting.value, (int, float)) else setting.value)
        raw.name = setting.name.encode()
        raw.filter = None if setting.filter is None else setting.filter.encode()
        raw.values, raw.value_count = values, len(values)
        put(raw, "model", -1 if setting.model is None else setting.model, "model")
        array.kept.append(values)
    return array


def choice_key(choice: BlendChoice) -> object:
    """Return what two choices of the same blend have in common."""

    def plain(value: Any) -> object:
        if isinstance(value, Mapping):
            return ("named", *sorted(value.items()))
        if isinstance(value, Iterable) and not isinstance(value, str):
            return tuple(map(plain, value))
        return value

    return tuple((key, plain(value)) for key, value in sorted(choice.items()) if value is not None)


_REALS = ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
_WHOLES = ("top_k", "penalty_window", "top_logprobs", "seed")


def _sampling_options(how: GenerateOptions, callbacks: Callbacks) -> Any:
    given: dict[str, Any] = dict(how)
    wish = options(_structs.SamplingOptions, "bsoup_sampling_options_init")
    for name in _REALS:
        if name in given:
            setattr(wish, name, given[name])
    for name in _WHOLES:
        if name in given:
            put(wish, name, given[name], name)
    bias = how.get("logit_bias")
    if bias:
        entries = (_structs.LogitBias * len(bias))()
        for entry, (token, value) in zip(entries, bias.items()):
            put(entry, "token", token, "logit_bias")
            entry.bias = value
        wish.logit_bias, wish.logit_bias_count = entries, len(entries)
    hook = how.get("hook")
    if hook is not None:
        wish.hook = callbacks.logits(hook)
    return wish


def tokenize_flags(special: bool, parse_special: bool) -> int:
    """Return BSOUP_TOKENIZE_*."""
    return special * _constants.TOKENIZE_SPECIAL | parse_special * _constants.TOKENIZE_PARSE_SPECIAL


def generate_options(how: GenerateOptions, callbacks: Callbacks) -> Any:
    """Return bsoup_generate_options, which keeps all that it points to but the callbacks."""
    _known(how, GenerateOptions, "generate()")
    wish = options(_structs.GenerateOptions, "bsoup_generate_options_init")
    wish.sampling = pointer(_sampling_options(how, callbacks))
    if "max_tokens" in how:
        put(wish, "max_tokens", how["max_tokens"], "max_tokens")
    stop = how.get("stop", ())
    strings = [string.encode() for string in ([stop] if isinstance(stop, str) else stop)]
    wish.stop_strings, wish.stop_string_count = (c_char_p * len(strings))(*strings), len(strings)
    ends = tokens(how.get("stop_tokens", ()))
    wish.stop_tokens, wish.stop_token_count = ends, len(ends)
    wish.ignore_end = how.get("ignore_end", False)
    wish.response_only = how.get("response_only", False)
    wish.tokenize = tokenize_flags(how.get("special", True), how.get("parse_special", False))
    on_text = how.get("on_text")
    if on_text is not None:
        wish.on_text = callbacks.text(on_text)
    wish.prefill_progress = callbacks.progress(how.get("progress"), "reading")
    return wish


def session_options(context: int, kv_format: str | None) -> Any:
    """Return bsoup_session_options."""
    wish = options(_structs.SessionOptions, "bsoup_session_options_init")
    put(wish, "context", context, "context")
    wish.kv_format = format_number(kv_format, "kv_format")
    return wish
