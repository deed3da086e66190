"""Output that obeys a JSON schema: llguidance says which tokens may come next, the logits hook forbids the others.

python json_schema.py SOUP     (needs numpy and llguidance)
"""

from __future__ import annotations

import json
import sys

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

import bonesoup

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    # A small model would fill the page with spaces.
    "x-guidance": {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "},
}


class Vocabulary:
    """What llguidance asks of a tokenizer."""

    def __init__(self, soup: bonesoup.Soup) -> None:
        self._soup = soup
        count = soup.info.vocabulary
        self.bos_token_id = None
        self.eos_token_id = soup.end_tokens[0]
        self.special_token_ids = [token for token in range(count) if self._is_special(token)]
        self.tokens = [self._bytes(token) for token in range(count)]

    def _bytes(self, token: int) -> bytes:
        try:
            return self._soup.token(token)
        except LookupError:
            return b""

    def _is_special(self, token: int) -> bool:
        try:
            return self._soup.is_special(token)
        except LookupError:
            return True

    def __call__(self, text: str) -> list[int]:
        return self._soup.tokenize(text, special=False)


class Guide:
    """A logits hook that lets only those tokens through that the schema allows."""

    def __init__(self, soup: bonesoup.Soup, schema: object) -> None:
        wrapper = TokenizerWrapper(Vocabulary(soup))
        self._matcher = LLMatcher(
            LLTokenizer(wrapper, n_vocab=soup.info.vocabulary), LLMatcher.grammar_from_json_schema(json.dumps(schema))
        )
        self._mask = allocate_token_bitmask(1, soup.info.vocabulary)
        self._seen: int | None = None

    def __call__(self, logits: memoryview[float], tokens: memoryview[int]) -> None:
        if self._seen is not None:
            self._matcher.consume_tokens(list(tokens[self._seen :]))
        self._seen = len(tokens)
        fill_next_token_bitmask(self._matcher, self._mask)
        allowed = np.unpackbits(self._mask[0].view(np.uint8), bitorder="little")[: len(logits)].astype(bool)
        np.asarray(logits)[~allowed] = -np.inf


def main(path: str) -> None:
    """Print an object that the schema allows."""
    with bonesoup.Soup.open(path) as soup:
        result = soup.generate("Here is a person: ", hook=Guide(soup, SCHEMA), temperature=0.8, seed=1, max_tokens=100)
        print(result.text)


if __name__ == "__main__":
    main(sys.argv[1])
