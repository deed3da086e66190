"""The functions of bonesoup.h: what they take and give back; a test compares them with the header."""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

from bonesoup._structs import (
    BackboneInfo,
    BlendInfo,
    BlendOptions,
    ComparedTensor,
    CompareOptions,
    ComparisonInfo,
    DecodeOptions,
    EngineOptions,
    ExportOptions,
    FactoredTensor,
    FactoringInfo,
    FactorOptions,
    GenerateOptions,
    GenerationInfo,
    MergeInfo,
    MergeOptions,
    MethodInfo,
    MethodOptions,
    ObjectiveInfo,
    ObjectiveOptions,
    OpenOptions,
    ParameterInfo,
    SamplingOptions,
    SessionInfo,
    SessionOptions,
    SoupInfo,
    Step,
)

_STATUS = c_int32
_HANDLE = c_void_p
_HANDLE_OUT = POINTER(c_void_p)
_COUNT_OUT = POINTER(c_size_t)
_INDEX_OUT = POINTER(c_uint32)
_BYTES_OUT = POINTER(c_uint64)
_DOUBLES = POINTER(c_double)
_TOKENS = POINTER(c_int32)
_TOKENS_OUT = POINTER(POINTER(c_int32))

# Name: (result, parameters), in the header's order.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    # 2 Version and build
    "bsoup_abi_version": (c_uint32, []),
    "bsoup_version": (c_char_p, []),
    "bsoup_build_info": (c_char_p, []),
    # 3 Errors
    "bsoup_last_error": (c_char_p, []),
    "bsoup_status_name": (c_char_p, [_STATUS]),
    # 4 Engines and cancelling
    "bsoup_engine_options_init": (None, [POINTER(EngineOptions), c_size_t]),
    "bsoup_engine_create": (_STATUS, [POINTER(EngineOptions), _HANDLE_OUT]),
    "bsoup_engine_free": (None, [_HANDLE]),
    "bsoup_engine_memory": (_STATUS, [_HANDLE, _BYTES_OUT]),
    "bsoup_cancel_create": (_STATUS, [_HANDLE_OUT]),
    "bsoup_cancel_request": (None, [_HANDLE]),
    "bsoup_cancel_free": (None, [_HANDLE]),
    # 5 Opening a soup
    "bsoup_open_options_init": (None, [POINTER(OpenOptions), c_size_t]),
    "bsoup_soup_open": (_STATUS, [_HANDLE, c_char_p, POINTER(OpenOptions), _HANDLE_OUT]),
    "bsoup_soup_free": (None, [_HANDLE]),
    # 6 Building a soup
    "bsoup_soup_add_backbone": (_STATUS, [_HANDLE, c_char_p, POINTER(OpenOptions), _INDEX_OUT]),
    "bsoup_objective_options_init": (None, [POINTER(ObjectiveOptions), c_size_t]),
    "bsoup_soup_add_objective": (_STATUS, [_HANDLE, POINTER(ObjectiveOptions), _INDEX_OUT]),
    "bsoup_soup_set_matrix": (_STATUS, [_HANDLE, _DOUBLES, c_uint32, c_uint32]),
    "bsoup_soup_set_bone_matrix": (_STATUS, [_HANDLE, c_double]),
    "bsoup_soup_set_extrapolation": (_STATUS, [_HANDLE, _DOUBLES, c_uint32]),
    "bsoup_soup_set_guard": (_STATUS, [_HANDLE, c_double, c_uint32]),
    "bsoup_method_options_init": (None, [POINTER(MethodOptions), c_size_t]),
    "bsoup_soup_set_method": (_STATUS, [_HANDLE, POINTER(MethodOptions)]),
    # 7 Preferences and blends
    "bsoup_blend_options_init": (None, [POINTER(BlendOptions), c_size_t]),
    "bsoup_blend_create": (_STATUS, [_HANDLE, POINTER(BlendOptions), _HANDLE_OUT]),
    "bsoup_blend_wait": (_STATUS, [_HANDLE, c_uint32]),
    "bsoup_blend_free": (None, [_HANDLE]),
    "bsoup_blend_memory": (_STATUS, [_HANDLE, POINTER(BlendOptions), _BYTES_OUT]),
    "bsoup_blend_get_info": (_STATUS, [_HANDLE, POINTER(BlendInfo)]),
    "bsoup_soup_solve": (_STATUS, [_HANDLE, POINTER(BlendOptions), _DOUBLES, _DOUBLES, POINTER(BlendInfo)]),
    "bsoup_blend_preference": (_STATUS, [_HANDLE, _DOUBLES, c_uint32]),
    "bsoup_blend_coefficients": (_STATUS, [_HANDLE, _DOUBLES, c_uint32]),
    # 8 Generating
    "bsoup_sampling_options_init": (None, [POINTER(SamplingOptions), c_size_t]),
    "bsoup_generate_options_init": (None, [POINTER(GenerateOptions), c_size_t]),
    "bsoup_generate": (_STATUS, [_HANDLE, c_char_p, c_size_t, POINTER(GenerateOptions), _HANDLE_OUT]),
    "bsoup_generation_free": (None, [_HANDLE]),
    "bsoup_generation_get_info": (_STATUS, [_HANDLE, POINTER(GenerationInfo)]),
    # 9 Sessions
    "bsoup_session_options_init": (None, [POINTER(SessionOptions), c_size_t]),
    "bsoup_session_create": (_STATUS, [_HANDLE, POINTER(SessionOptions), _HANDLE_OUT]),
    "bsoup_session_free": (None, [_HANDLE]),
    "bsoup_session_memory": (_STATUS, [_HANDLE, POINTER(SessionOptions), _BYTES_OUT]),
    "bsoup_session_append": (_STATUS, [_HANDLE, _TOKENS, c_size_t]),
    "bsoup_session_append_text": (_STATUS, [_HANDLE, c_char_p, c_size_t, c_uint32, _HANDLE, _COUNT_OUT]),
    "bsoup_session_rewind": (_STATUS, [_HANDLE, c_size_t]),
    "bsoup_session_fork": (_STATUS, [_HANDLE, _HANDLE_OUT]),
    "bsoup_session_set_blend": (_STATUS, [_HANDLE, _HANDLE, c_uint32]),
    "bsoup_session_get_info": (_STATUS, [_HANDLE, POINTER(SessionInfo)]),
    "bsoup_session_tokens": (_STATUS, [_HANDLE, _TOKENS_OUT, _COUNT_OUT]),
    "bsoup_session_generate": (_STATUS, [_HANDLE, c_char_p, c_size_t, POINTER(GenerateOptions), _HANDLE_OUT]),
    # 10 Batches
    "bsoup_decode_options_init": (None, [POINTER(DecodeOptions), c_size_t]),
    "bsoup_decode": (_STATUS, [POINTER(c_void_p), c_size_t, POINTER(DecodeOptions)]),
    "bsoup_session_logits": (_STATUS, [_HANDLE, c_int64, POINTER(POINTER(c_float)), _COUNT_OUT]),
    "bsoup_session_begin": (_STATUS, [_HANDLE, POINTER(GenerateOptions)]),
    "bsoup_session_next": (_STATUS, [_HANDLE, POINTER(Step)]),
    "bsoup_generate_batch": (_STATUS, [POINTER(c_void_p), c_size_t, POINTER(DecodeOptions), POINTER(c_void_p)]),
    # 11 Inspecting
    "bsoup_soup_get_info": (_STATUS, [_HANDLE, POINTER(SoupInfo)]),
    "bsoup_soup_objective": (_STATUS, [_HANDLE, c_uint32, POINTER(ObjectiveInfo)]),
    "bsoup_soup_backbone": (_STATUS, [_HANDLE, c_uint32, POINTER(BackboneInfo)]),
    "bsoup_soup_matrix": (_STATUS, [_HANDLE, _DOUBLES, c_uint32]),
    "bsoup_soup_preset": (_STATUS, [_HANDLE, c_uint32, POINTER(c_char_p), _DOUBLES, c_uint32]),
    "bsoup_soup_move_slider": (_STATUS, [_HANDLE, _DOUBLES, c_uint32, c_uint32, c_double]),
    "bsoup_soup_tokenize": (_STATUS, [_HANDLE, c_char_p, c_size_t, c_uint32, _HANDLE, _TOKENS, c_size_t, _COUNT_OUT]),
    "bsoup_soup_detokenize": (_STATUS, [_HANDLE, _TOKENS, c_size_t, c_uint32, POINTER(c_char), c_size_t, _COUNT_OUT]),
    "bsoup_soup_token": (_STATUS, [_HANDLE, c_int32, POINTER(c_char), c_size_t, _COUNT_OUT, _INDEX_OUT]),
    "bsoup_soup_end_tokens": (_STATUS, [_HANDLE, _TOKENS_OUT, _COUNT_OUT]),
    # 12 Merging files
    "bsoup_method_get_info": (_STATUS, [c_uint32, POINTER(MethodInfo)]),
    "bsoup_method_parameter": (_STATUS, [c_uint32, c_uint32, POINTER(ParameterInfo)]),
    "bsoup_merge_options_init": (None, [POINTER(MergeOptions), c_size_t]),
    "bsoup_merge_files": (_STATUS, [_HANDLE, c_char_p, POINTER(MergeOptions)]),
    "bsoup_merge_plan": (_STATUS, [_HANDLE, POINTER(MergeOptions), POINTER(MergeInfo)]),
    # 13 Exporting and inspecting files
    "bsoup_export_options_init": (None, [POINTER(ExportOptions), c_size_t]),
    "bsoup_blend_export": (_STATUS, [_HANDLE, c_char_p, POINTER(ExportOptions), _HANDLE_OUT]),
    "bsoup_soup_export": (
        _STATUS,
        [_HANDLE, POINTER(BlendOptions), c_char_p, POINTER(ExportOptions), _HANDLE_OUT],
    ),
    "bsoup_soup_export_size": (_STATUS, [_HANDLE, POINTER(BlendOptions), POINTER(ExportOptions), _BYTES_OUT]),
    "bsoup_factor_options_init": (None, [POINTER(FactorOptions), c_size_t]),
    "bsoup_backbone_factor": (_STATUS, [_HANDLE, c_uint32, c_char_p, POINTER(FactorOptions), _HANDLE_OUT]),
    "bsoup_factoring_free": (None, [_HANDLE]),
    "bsoup_factoring_get_info": (_STATUS, [_HANDLE, POINTER(FactoringInfo)]),
    "bsoup_factoring_tensor": (_STATUS, [_HANDLE, c_uint32, POINTER(FactoredTensor)]),
    "bsoup_compare_options_init": (None, [POINTER(CompareOptions), c_size_t]),
    "bsoup_soup_compare": (_STATUS, [_HANDLE, POINTER(CompareOptions), _HANDLE_OUT]),
    "bsoup_comparison_free": (None, [_HANDLE]),
    "bsoup_comparison_get_info": (_STATUS, [_HANDLE, POINTER(ComparisonInfo)]),
    "bsoup_comparison_tensor": (_STATUS, [_HANDLE, c_uint32, POINTER(ComparedTensor)]),
}


def declare(library: ctypes.CDLL) -> None:
    """Give every function of the library its types; one that is not there is an AttributeError."""
    for name, (result, parameters) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = parameters
