#!/usr/bin/env python3
"""Texts and token sequences with what Hugging Face `tokenizers` makes of them.

`make_tokenizers.py` writes a few hundred such cases beside each tokenizer of the fixtures. For many more, of any
tokenizer:

    python Tests/Fixtures/tokenizer_cases.py TOKENIZER OUT.json --count 10000 --seed 1
    BONESOUP_TOKENIZER_CASES=OUT.json swift test --filter everyCaseOfTheNamedFile

TOKENIZER is a tokenizer.json, or a folder with vocab.json and merges.txt named `gpt2` or `qwen2`, of which one is
composed and written beside OUT. A file of cases is an object:

    tokenizer   path of the tokenizer.json
    texts       list of {text, ids, template, plain, decoded, skipped}: the ids without and with the template's special
                tokens, the ids where the spelling of special tokens is text (absent where equal to ids), and `ids`
                decoded with and without special tokens (skipped absent where equal to decoded)
    tokens      list of {ids, decoded, skipped}: random ids
"""

import argparse
import json
import pathlib
import random
import unicodedata
from typing import Any

from tokenizers import Tokenizer

WORDS = (
    "the a Once upon time fox's river I'll you've THEY'RE don't we'd I'M it'S o'clock hello World naïve café".split()
)
JOINERS = "|| | | |  |   |\n|\n\n| \n|\t|\r\n|, |. |'|'s|’s|\u00a0|\u3000|_|-".split("|")
PIECES = (
    "ſ 'ſ 'S 'Ll 'vE İ ß ﬁ Å \u212b \u2126 é e\u0301 a\u0323\u0307 a\u0307\u0323 \u0300 \u0301\u0300 \u0344 "
    "\u0958 क\u093c ড\u09bc \u0f73 "
    "\u1100\u1161\u11a8 각 가\u11a8 \ufb1d שׁ 日本語 こんにちは が か\u3099 ﾊﾟ привет مرحبا हिन्दी ไทย 👨‍👩‍👧 🏳️‍🌈 🇩🇪 "
    "1234567 ٣٤ ½ Ⅷ ² x1y2 3.14 \u200b \ufeff \0 ▁ ▁▁ Ġ <0x41> <0xFF> \ufffd 𝔘𝔫𝔦 \U000e0001 Ж 中"
).split(" ") + ["\u0085", "\u2028"]
RANGES = [
    (0, 0x80), (0x20, 0x7F), (0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x1200), (0x1E00, 0x2070),
    (0x2070, 0x3100), (0x3100, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x1F300, 0x1FAFF), (0, 0x110000),
]  # fmt: skip


def is_assigned(scalar: int) -> bool:
    """Whether this Python's Unicode tables know the character, which is not a surrogate."""
    return unicodedata.category(chr(scalar)) not in ("Cn", "Cs")


class Texts:
    """Random texts; the same for the same seed."""

    def __init__(self, seed: int, spellings: list[str], *, every_code_point: bool = False) -> None:
        self.random = random.Random(seed)
        self.spellings = spellings
        self.every_code_point = every_code_point

    def character(self) -> str:
        pick = self.random
        while True:
            low, high = pick.choice(RANGES)
            scalar = pick.randrange(low, high)
            if 0xD800 <= scalar < 0xE000 or not (self.every_code_point or is_assigned(scalar)):
                continue
            return chr(scalar)

    def part(self) -> str:
        pick = self.random
        kind = pick.randrange(10)
        if kind < 3:
            return pick.choice(WORDS)
        if kind < 5:
            return pick.choice(PIECES)
        if kind == 5 and self.spellings:
            return pick.choice(self.spellings)
        if kind == 6:
            return pick.choice(["\n", " ", "\r", "\t", "'", "1", "a", "\u0301", "▁"]) * pick.randrange(1, 9)
        if kind == 7:
            return "".join(chr(pick.randrange(0x20, 0x7F)) for _ in range(pick.randrange(1, 12)))
        return "".join(self.character() for _ in range(pick.randrange(1, 6)))

    def text(self) -> str:
        pick = self.random
        return "".join(self.part() + pick.choice(JOINERS) for _ in range(pick.randrange(1, 9)))


def without_normalized(path: pathlib.Path) -> Tokenizer:
    """The tokenizer to decode with.

    `tokenizers` 0.23 spells an added token that is `normalized` by its normalised form when decoding, and then doesn't
    know it as special. Before, and in `transformers`, it is spelled as in the file and skipped if special.
    """
    file = json.loads(path.read_text(encoding="utf-8"))
    for token in file["added_tokens"]:
        token["normalized"] = False
    return Tokenizer.from_str(json.dumps(file))


def decoded(tokenizer: Tokenizer, ids: list[int]) -> dict[str, str]:
    whole = tokenizer.decode(ids, skip_special_tokens=False)
    skipped = tokenizer.decode(ids, skip_special_tokens=True)
    return {"decoded": whole} | ({} if skipped == whole else {"skipped": skipped})


def text_case(tokenizer: Tokenizer, decoder: Tokenizer, text: str) -> dict[str, Any]:
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    template = tokenizer.encode(text, add_special_tokens=True).ids
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    case = {"text": text, "ids": ids} | decoded(decoder, ids)
    return case | ({} if plain == ids else {"plain": plain}) | ({} if template == ids else {"template": template})


def cases(path: pathlib.Path, count: int, seed: int, *, every_code_point: bool = False) -> dict[str, Any]:
    """`count` texts, and a quarter as many random token sequences, for the tokenizer.json at `path`."""
    tokenizer = Tokenizer.from_file(str(path))
    decoder = without_normalized(path)
    added = tokenizer.get_added_tokens_decoder()
    texts = Texts(seed, [token.content for token in added.values()], every_code_point=every_code_point)
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    sequences = []
    for _ in range(count // 4):
        ids = [texts.random.randrange(size) for _ in range(texts.random.randrange(12))]
        sequences.append({"ids": ids} | decoded(decoder, ids))
    return {
        "tokenizer": str(path.resolve()),
        "texts": [
            text_case(tokenizer, decoder, text) for text in ["", " ", "\n"] + [texts.text() for _ in range(count - 3)]
        ],
        "tokens": sequences,
    }


def added_token(identifier: int, content: str, **options: bool) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": identifier, "content": content} | plain | options


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(expression: str) -> dict[str, Any]:
    """Splits by the expression, then to the characters that stand for bytes."""
    parts = [
        {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False},
        BYTE_LEVEL | {"use_regex": False},
    ]
    return {"type": "Sequence", "pretokenizers": parts}


def compose(folder: pathlib.Path) -> dict[str, Any]:
    """The tokenizer.json of a folder with vocab.json and merges.txt, which is `gpt2` or `qwen2`."""
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    is_qwen = folder.name.startswith("qwen")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] if is_qwen else ["<|endoftext|>"]
    added = [added_token(vocab.get(text, len(vocab) + index), text) for index, text in enumerate(special)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if is_qwen else None,
        "pre_tokenizer": split(QWEN2) if is_qwen else BYTE_LEVEL,
        "post_processor": BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocab, "merges": merges,
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-code-point", action="store_true", help="also those that no Unicode table knows yet")
    options = parser.parse_args()
    path = options.tokenizer
    if path.is_dir():
        path = options.out.with_suffix(".tokenizer.json").resolve()
        path.write_text(json.dumps(compose(options.tokenizer), ensure_ascii=False), encoding="utf-8")
    made = cases(path, options.count, options.seed, every_code_point=options.every_code_point)
    options.out.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
