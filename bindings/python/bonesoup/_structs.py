"""The structures and callbacks of bonesoup.h, field by field; a test compares them with the header as gcc reads it."""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)

# Callbacks. Text and logits come as pointers with a size, as text may hold NUL.
AllocateFn = CFUNCTYPE(c_void_p, c_size_t, c_size_t, c_void_p)
DeallocateFn = CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)
LogFn = CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
ProgressFn = CFUNCTYPE(c_int32, c_double, c_void_p)
ReadAtFn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_void_p, c_size_t)
LogitsFn = CFUNCTYPE(c_int32, POINTER(c_float), c_size_t, POINTER(c_int32), c_size_t, c_void_p)
TextFn = CFUNCTYPE(c_int32, POINTER(c_char), c_size_t, c_void_p)


class EngineOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("thread_count", c_uint32),
        ("memory_budget", c_uint64),
        ("cpus", POINTER(c_uint32)),
        ("cpu_count", c_uint32),
        ("spin_microseconds", c_uint32),
        ("allocate", AllocateFn),
        ("deallocate", DeallocateFn),
        ("allocator_context", c_void_p),
        ("log", LogFn),
        ("log_context", c_void_p),
    ]


class File(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("size", c_uint64),
        ("data", c_void_p),
        ("read_at", ReadAtFn),
        ("context", c_void_p),
    ]


class OpenOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("weights", c_uint32),
        ("load", c_uint32),
        ("verify", c_uint32),
        ("files", POINTER(File)),
        ("file_count", c_uint32),
        ("reserved", c_uint32),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
    ]


class ObjectiveOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("has_default", c_uint32),
        ("name", c_char_p),
        ("label", c_char_p),
        ("description", c_char_p),
        ("default_weight", c_double),
        ("minimum", c_double),
        ("maximum", c_double),
        ("step", c_double),
    ]


class NamedValue(Structure):
    _fields_ = [("name", c_char_p), ("value", c_double)]


class MergeParameter(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("filter", c_char_p),
        ("values", POINTER(c_double)),
        ("value_count", c_uint32),
        ("model", c_int32),
    ]


class MethodOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("parameter_count", c_uint32),
        ("name", c_char_p),
        ("parameters", POINTER(MergeParameter)),
        ("seed", c_uint64),
    ]


class BlendOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("named", POINTER(NamedValue)),
        ("preference", POINTER(c_double)),
        ("coefficients", POINTER(c_double)),
        ("preset", c_char_p),
        ("layer_multipliers", POINTER(c_float)),
        ("named_count", c_uint32),
        ("preference_count", c_uint32),
        ("coefficient_count", c_uint32),
        ("layer_multiplier_count", c_uint32),
        ("weights", c_uint32),
        ("background", c_uint32),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
        ("method", POINTER(MethodOptions)),
    ]


class BlendInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("weights", c_uint32),
        ("adjustments", c_uint32),
        ("objective_count", c_uint32),
        ("backbone_count", c_uint32),
        ("base_share", c_double),
        ("condition", c_double),
        ("progress", c_double),
        ("memory", c_uint64),
        ("state", c_int32),
        ("reserved", c_uint32),
        ("fingerprint", c_char * 72),
    ]


class LogitBias(Structure):
    _fields_ = [("token", c_int32), ("bias", c_float)]


class SamplingOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("temperature", c_float),
        ("top_k", c_uint32),
        ("top_p", c_float),
        ("min_p", c_float),
        ("repetition_penalty", c_float),
        ("presence_penalty", c_float),
        ("frequency_penalty", c_float),
        ("penalty_window", c_int32),
        ("top_logprobs", c_uint32),
        ("seed", c_uint64),
        ("logit_bias", POINTER(LogitBias)),
        ("logit_bias_count", c_uint32),
        ("reserved", c_uint32),
        ("hook", LogitsFn),
        ("hook_context", c_void_p),
    ]


class GenerateOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("max_tokens", c_uint32),
        ("sampling", POINTER(SamplingOptions)),
        ("stop_strings", POINTER(c_char_p)),
        ("stop_tokens", POINTER(c_int32)),
        ("stop_string_count", c_uint32),
        ("stop_token_count", c_uint32),
        ("ignore_end", c_uint32),
        ("tokenize", c_uint32),
        ("context", c_uint32),
        ("kv_format", c_uint32),
        ("on_text", TextFn),
        ("text_context", c_void_p),
        ("cancel", c_void_p),
        ("prefill_progress", ProgressFn),
        ("prefill_context", c_void_p),
        ("response_only", c_uint32),
        ("reserved", c_uint32),
    ]


class Logprob(Structure):
    _fields_ = [("token", c_int32), ("logprob", c_float)]


class GenerationInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("finish", c_uint32),
        ("text", POINTER(c_char)),
        ("text_size", c_size_t),
        ("tokens", POINTER(c_int32)),
        ("logprobs", POINTER(c_float)),
        ("top", POINTER(Logprob)),
        ("token_count", c_uint32),
        ("top_count", c_uint32),
        ("prompt_tokens", c_uint32),
        ("prefilled_tokens", c_uint32),
        ("prefill_seconds", c_double),
        ("decode_seconds", c_double),
        ("fingerprint", c_char * 72),
    ]


class SessionOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("context", c_uint32),
        ("kv_format", c_uint32),
        ("reserved", c_uint32),
    ]


class SessionInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kv_format", c_uint32),
        ("token_count", c_uint64),
        ("computed_count", c_uint64),
        ("context", c_uint64),
        ("memory", c_uint64),
        ("fingerprint", c_char * 72),
        ("response_start", c_uint64),
    ]


class DecodeOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("max_rows", c_uint32),
        ("all_logits", c_uint32),
        ("reserved", c_uint32),
        ("statuses", POINTER(c_int32)),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
    ]


class Step(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("token", c_int32),
        ("logprob", c_float),
        ("finish", c_uint32),
        ("text", POINTER(c_char)),
        ("text_size", c_size_t),
        ("top", POINTER(Logprob)),
        ("top_count", c_uint32),
        ("reserved", c_uint32),
    ]


class SoupInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("weights", c_uint32),
        ("objective_count", c_uint32),
        ("backbone_count", c_uint32),
        ("preset_count", c_uint32),
        ("vocabulary", c_uint32),
        ("layers", c_uint32),
        ("hidden", c_uint32),
        ("heads", c_uint32),
        ("kv_heads", c_uint32),
        ("head_size", c_uint32),
        ("context", c_uint32),
        ("has_tokenizer", c_uint32),
        ("live", c_uint32),
        ("parameters", c_uint64),
        ("memory", c_uint64),
        ("condition", c_double),
        ("max_abs_coefficient", c_double),
        ("on_violation", c_uint32),
        ("reserved", c_uint32),
        ("model_type", c_char_p),
    ]


class ObjectiveInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("label", c_char_p),
        ("description", c_char_p),
        ("default_weight", c_double),
        ("minimum", c_double),
        ("maximum", c_double),
        ("step", c_double),
        ("floor", c_double),
        ("norm_mean", c_double),
        ("norm_std", c_double),
        ("extrapolation", c_double),
    ]


class BackboneInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("low_rank", c_uint32),
        ("path", c_char_p),
        ("parameters", c_uint64),
        ("rank", c_uint32),
        ("module_count", c_uint32),
    ]


class ExportOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("format", c_uint32),
        ("rank", c_uint32),
        ("shard_size", c_uint64),
        ("base_name", c_char_p),
        ("skip_hashes", c_uint32),
        ("reserved", c_uint32),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
    ]


class FactorOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_uint32),
        ("max_error", c_double),
        ("format", c_uint32),
        ("vectors", c_uint32),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
    ]


class FactoringInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_uint32),
        ("tensor_count", c_uint32),
        ("reserved", c_uint32),
        ("error", c_double),
    ]


class FactoredTensor(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_uint32),
        ("name", c_char_p),
        ("rows", c_uint64),
        ("columns", c_uint64),
        ("norm", c_double),
        ("error", c_double),
    ]


class CompareOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("cancel", c_void_p),
        ("progress", ProgressFn),
        ("progress_context", c_void_p),
    ]


class ComparisonInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("tensor_count", c_uint32),
        ("backbone_count", c_uint32),
        ("reserved", c_uint32),
    ]


class ComparedTensor(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("rows", c_uint64),
        ("columns", c_uint64),
        ("elements", c_uint64),
        ("base_norm", c_double),
        ("conflict", c_double),
        ("cancellation", c_double),
        ("norms", POINTER(c_double)),
        ("largest", POINTER(c_double)),
        ("changed", POINTER(c_double)),
        ("cosines", POINTER(c_double)),
        ("agreements", POINTER(c_double)),
    ]


class MethodInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("base", c_uint32),
        ("min_models", c_uint32),
        ("max_models", c_uint32),
        ("negative", c_uint32),
        ("for_soups", c_uint32),
        ("random", c_uint32),
        ("parameter_count", c_uint32),
        ("name", c_char_p),
        ("summary", c_char_p),
    ]


class ParameterInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("is_flag", c_uint32),
        ("per_model", c_uint32),
        ("is_required", c_uint32),
        ("name", c_char_p),
        ("summary", c_char_p),
        ("default_value", c_double),
        ("minimum", c_double),
        ("maximum", c_double),
    ]


class MergeBlock(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("model_count", c_uint32),
        ("tensor", c_char_p),
        ("base", POINTER(c_float)),
        ("models", POINTER(POINTER(c_float))),
        ("weights", POINTER(c_double)),
        ("offset", c_uint64),
        ("count", c_uint64),
        ("result", POINTER(c_float)),
    ]


class MergeProgress(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("share", c_double),
        ("seconds", c_double),
        ("seconds_left", c_double),
        ("bytes_per_second", c_double),
    ]


MergeBlockFn = CFUNCTYPE(c_int32, POINTER(MergeBlock), c_void_p)
MergeProgressFn = CFUNCTYPE(c_int32, POINTER(MergeProgress), c_void_p)


class MergeLayers(Structure):
    _fields_ = [
        ("slice", c_uint32),
        ("first_layer", c_uint32),
        ("layer_count", c_uint32),
        ("reserved", c_uint32),
    ]


class MergeOptions(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_uint32),
        ("method", c_char_p),
        ("base", c_char_p),
        ("models", POINTER(c_char_p)),
        ("parameters", POINTER(MergeParameter)),
        ("model_count", c_uint32),
        ("parameter_count", c_uint32),
        ("seed", c_uint64),
        ("shard_size", c_uint64),
        ("skip_sync", c_uint32),
        ("hash_files", c_uint32),
        ("merge_block", MergeBlockFn),
        ("block_context", c_void_p),
        ("cancel", c_void_p),
        ("progress", MergeProgressFn),
        ("progress_context", c_void_p),
        ("layers", POINTER(MergeLayers)),
    ]


class MergeInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("tensor_count", c_uint32),
        ("peak_memory", c_uint64),
        ("output_size", c_uint64),
        ("fingerprint", c_char * 72),
    ]
