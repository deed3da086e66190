"""Tokenizers against Hugging Face's, on random Unicode, there and back."""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Iterator

import pytest
import tokenizers

import bonesoup
from support import MODELS, SHARED, Shape, needs_shared, random_model

COUNT = 10_000
Pair = tuple[bonesoup.Soup, tokenizers.Tokenizer]
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def gpt2() -> tokenizers.Tokenizer:
    folder = SHARED / "tokenizers" / "gpt2"
    model = tokenizers.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def qwen2() -> tokenizers.Tokenizer:
    folder = SHARED / "tokenizers" / "qwen2"
    model = tokenizers.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return tokenizer


def tinystories() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(SHARED / "models" / "TinyStories-656K" / "tokenizer.json"))


def decoder(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Return the tokenizer with added tokens that are told as they are written.

    `tokenizers` decodes an added token of `"normalized": true` in its normalized spelling, and then takes a special one
    for an ordinary one: "▁<unk>" is not left out.
    """
    settings = json.loads(tokenizer.to_str())
    for token in settings["added_tokens"]:
        token["normalized"] = False
    return tokenizers.Tokenizer.from_str(json.dumps(settings))


def llama3() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(MODELS / "llama3" / "tokenizer.json"))


MAKERS = [
    pytest.param(gpt2, marks=needs_shared),
    pytest.param(qwen2, marks=needs_shared),
    pytest.param(tinystories, marks=needs_shared),
    llama3,
]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def pair(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Pair]:
    """A tokenizer, and a soup of a model that has it and is otherwise as small as can be."""
    tokenizer: tokenizers.Tokenizer = request.param()
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    folder = random_model(tmp_path / "model", Shape(hidden=8, layers=1, inner=8, heads=2, vocab=size))
    tokenizer.save(str(folder / "tokenizer.json"))
    with bonesoup.Soup.open(folder) as soup:
        yield soup, tokenizer


# Assigned by Unicode 17, which the library has and the regular expressions of `tokenizers` do not.
NEW = [
    *((0x88F, 0x88F), (0xC5C, 0xC5C), (0xCDC, 0xCDC), (0xA7CE, 0xA7CF), (0xA7D2, 0xA7D2), (0xA7D4, 0xA7D4)),
    *((0xA7F1, 0xA7F1), (0x10940, 0x10959), (0x10EC5, 0x10EC7), (0x11DB0, 0x11DDB), (0x11DE0, 0x11DE9)),
    *((0x16EA0, 0x16EB8), (0x16EBB, 0x16ED3), (0x16FF2, 0x16FF6), (0x187F8, 0x187FF), (0x18D09, 0x18D1E)),
    *((0x18D80, 0x18DF2), (0x1E6C0, 0x1E6DE), (0x1E6E0, 0x1E6E2), (0x1E6E4, 0x1E6E5), (0x1E6E7, 0x1E6ED)),
    *((0x1E6F0, 0x1E6F4), (0x1E6FE, 0x1E6FF), (0x2B73A, 0x2B73F), (0x2CEA2, 0x2CEAD), (0x323B0, 0x33479)),
]


def usable(point: int) -> bool:
    """Return whether a code point is a character that both sides know as the same."""
    return not 0xD800 <= point < 0xE000 and not any(first <= point <= last for first, last in NEW)


BLOCKS = [
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x7F, 0xFF),
    (0x100, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x1100, 0x11FF),
    (0x2000, 0x206F),
    (0x2070, 0x22FF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFFFF),
    (0x10000, 0x1FFFF),
    (0x1F300, 0x1FAFF),
    (0x1D100, 0x1D7FF),
    (0x20000, 0x3FFFF),
    (0xE0000, 0x10FFFF),
]
PIECES = [
    " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\u00a0", "\u3000", "\u2028", "\x85", "'s",
    "'S", "'ll", "'RE", "\u2019s", "don't", "I'VE", "the", " the", " and", "Hello",
    "once upon a time", "123", "1234567", "٣٤", "½", "Ⅷ", "e\u0301", "\u00e9", "ﬁ", "Å", "각",
    "\u1100\u1161", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "\u0915\u094d\u0937", "...", "!!", "_", "<unk>",
    "<|endoftext|>", "<|im_start|>", "<|end_story|>", "<0x0A>", "▁", " ▁▁", "Ġ", "\ufeff", "\u0000",
    "\ufffd", "İ", "ſ",
]  # fmt: skip


def texts(seed: int) -> Iterator[str]:
    """Yield random texts: code points of many blocks, and pieces that tokenizers treat in ways of their own."""
    chance = random.Random(seed)
    for number in range(COUNT):
        pieces = []
        for _ in range(chance.randrange(1, 24)):
            if chance.random() < 0.4:
                pieces.append(chance.choice(PIECES))
                continue
            first, last = BLOCKS[0] if chance.random() < 0.4 else chance.choice(BLOCKS)
            point = chance.randint(first, last)
            pieces.append(chr(point) if usable(point) else "x")
        yield "".join(pieces) * (40 if number % 1000 == 0 else 1)


def test_random_unicode_there_and_back(pair: Pair) -> None:
    soup, tokenizer = pair
    back_again = decoder(tokenizer)
    wrong = []
    for text in texts(1):
        special = len(text) % 2 == 0
        expected = tokenizer.encode(text, add_special_tokens=special).ids
        tokens = soup.tokenize(text, special=special, parse_special=True)
        if tokens != expected:
            wrong.append((text, tokens, expected))
            continue
        for skip in (False, True):
            back = soup.detokenize(tokens, skip_special=skip)
            if back != back_again.decode(expected, skip_special_tokens=skip):
                wrong.append((text, back, back_again.decode(expected, skip_special_tokens=skip)))  # type: ignore[arg-type]
    assert wrong[:5] == []


def test_every_character_of_the_basic_plane(pair: Pair) -> None:
    soup, tokenizer = pair
    characters = [chr(point) for point in range(0x10000) if usable(point)]
    for form in ("-{}'S", "a{}1 {}"):
        cases = [form.format(character, character) for character in characters]
        expected = tokenizer.encode_batch(cases, add_special_tokens=False)
        wrong = [case for case, one in zip(cases, expected) if soup.tokenize(case, special=False) != one.ids]
        assert wrong == []


def test_random_tokens_to_text(pair: Pair) -> None:
    soup, tokenizer = pair[0], decoder(pair[1])
    chance = random.Random(2)
    size = tokenizer.get_vocab_size()
    wrong = []
    for _ in range(2000):
        tokens = [chance.randrange(size) for _ in range(chance.randrange(1, 12))]
        expected = tokenizer.decode(tokens, skip_special_tokens=True)
        text = soup.detokenize(tokens, skip_special=True)
        if text != expected:
            wrong.append((tokens, text, expected))
    assert wrong[:5] == []


@needs_shared
@pytest.mark.parametrize(("name", "maker"), [("gpt-2", gpt2), ("qwen2", qwen2)])
def test_the_published_cases(name: str, maker: object, tmp_path: pathlib.Path) -> None:
    """The cases beside llama.cpp's vocabularies: texts, and on each line of the results the tokens of one."""
    tokenizer = gpt2() if maker is gpt2 else qwen2()
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    folder = random_model(tmp_path / "model", Shape(hidden=8, layers=1, inner=8, heads=2, vocab=size))
    tokenizer.save(str(folder / "tokenizer.json"))
    cases = SHARED / "tokenizers" / f"ggml-vocab-{name}.gguf.inp"
    inputs = cases.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    outputs = cases.with_suffix(".out").read_text().splitlines()
    assert len(inputs) >= len(outputs) > 30
    with bonesoup.Soup.open(folder) as soup:
        for text, line in zip(inputs, outputs):
            assert soup.tokenize(text) == [int(word) for word in line.split()], text


def test_a_spelled_special_token_is_text_unless_it_is_parsed() -> None:
    with bonesoup.Soup.open(MODELS / "llama3") as soup:
        known = json.loads((MODELS / "llama3" / "tokenizer.json").read_text())["added_tokens"]
        for entry in known:
            assert soup.tokenize(entry["content"], special=False, parse_special=True) == [entry["id"]]
            plain = soup.tokenize(entry["content"], special=False)
            assert entry["id"] not in plain
            assert soup.detokenize(plain) == entry["content"]
