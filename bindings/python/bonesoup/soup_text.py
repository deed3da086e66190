"""The tokenizer of a soup's base."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref, c_int32, c_size_t, c_uint32, create_string_buffer
from typing import Any

from bonesoup import _constants
from bonesoup._convert import tokens as token_array
from bonesoup._handle import Handle, check
from bonesoup._interrupt import LongCall
from bonesoup._library import C
from bonesoup._requests import tokenize_flags
from bonesoup.cancel import Cancel


class SoupText(Handle):
    """The part of `Soup` that turns text into tokens and back."""

    def tokenize(
        self, text: str, *, special: bool = True, parse_special: bool = False, cancel: Cancel | None = None
    ) -> list[int]:
        """Return the tokens of a text.

        Parameters
        ----------
        special
            Add the tokens that the tokenizer puts around a text (BOS).
        parse_special
            Take the spelling of a special token for that token.
        """
        encoded, flags, count = text.encode(), tokenize_flags(special, parse_special), c_size_t()
        capacity = len(encoded) + 16
        with LongCall(cancel) as call:
            while True:
                values = (c_int32 * capacity)()
                check(
                    C.bsoup_soup_tokenize(
                        *(self._handle, encoded, len(encoded), flags),
                        *(call.flag._handle, values, capacity, byref(count)),
                    )
                )
                if count.value <= capacity:
                    return values[: count.value]
                capacity = count.value

    def detokenize(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        """Return the text of tokens, invalid UTF-8 replaced by U+FFFD."""
        values, size = token_array(tokens), c_size_t()
        flags = skip_special * _constants.DETOKENIZE_SKIP_SPECIAL

        def call(buffer: Any, capacity: int) -> int:
            return int(C.bsoup_soup_detokenize(self._handle, values, len(values), flags, buffer, capacity, byref(size)))

        return _text(call, size, 8 * len(values) + 64).decode()

    def token(self, token: int) -> bytes:
        """Return the bytes that a token adds to a text, which need not be whole characters."""
        size, special = c_size_t(), c_uint32()

        def call(buffer: Any, capacity: int) -> int:
            return int(C.bsoup_soup_token(self._handle, token, buffer, capacity, byref(size), byref(special)))

        return _text(call, size, 64)

    def is_special(self, token: int) -> bool:
        """Return whether a token is a special one."""
        size, special = c_size_t(), c_uint32()
        check(C.bsoup_soup_token(self._handle, token, None, 0, byref(size), byref(special)))
        return bool(special.value)


def _text(call: Any, size: c_size_t, capacity: int) -> bytes:
    """Return the bytes that a call writes, given room for them."""
    while True:
        buffer = create_string_buffer(capacity)
        check(call(buffer, capacity))
        if size.value <= capacity:
            return buffer.raw[: size.value]
        capacity = size.value
