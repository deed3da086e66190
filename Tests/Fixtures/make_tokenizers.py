#!/usr/bin/env python3
"""Make the small tokenizers of Tests/Fixtures/tokenizers, with what Hugging Face `tokenizers` gives for many texts.

Run by hand, with the packages of requirements.txt beside this file:

    python Tests/Fixtures/make_tokenizers.py

Each NAME.json is a tokenizer.json with the components of a family of models, trained on the text that `training_text`
writes; NAME.cases.json holds its cases (see tokenizer_cases.py). The same seed gives the same bytes.
"""

import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from tokenizer_cases import BYTE_LEVEL, PIECES, QWEN2, added_token, cases, split
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent / "tokenizers"
COUNT, SEED = 128, 20_26
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

ANIMALS = "fox hen goat owl mole crab hare newt swan toad".split()
PLACES = "river forest market mountain kitchen harbour garden station library island".split()
VERBS = "found carried painted followed forgot repaired borrowed noticed counted invented".split()
THINGS = "lantern basket whistle mirror ladder umbrella compass blanket bottle violin".split()
MANNERS = "quietly slowly again yesterday together in 1984 with 27 others without a word".split()
FOREIGN = [
    "el zorro y la gallina están aquí",
    "der Fuchs hört früh auf",
    "лиса и река",
    "狐と川",
    "여우와 강",
    "ثعلب صغير",
]


def training_text() -> Iterator[str]:
    pick = random.Random(SEED)
    for _ in range(3000):
        animal, thing, place = pick.choice(ANIMALS), pick.choice(THINGS), pick.choice(PLACES)
        yield f"The {animal} {pick.choice(VERBS)} the {thing} near the {place} {pick.choice(MANNERS)}."
        if pick.randrange(4) == 0:
            yield f"{pick.choice(FOREIGN)}; it's {pick.randrange(10_000)} o'clock, isn't it?\n\n  {pick.choice(PIECES)}"


def train(size: int, *, byte_level: bool) -> dict[str, Any]:
    """A BPE model: its vocab and merges. Spaces are ▁, or the pieces are of the characters that stand for bytes."""
    special = [] if byte_level else ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    alphabet = ByteLevel.alphabet() if byte_level else []
    trainer = BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=sorted(alphabet), limit_alphabet=300,
        show_progress=False,
    )  # fmt: skip
    tokenizer = Tokenizer(BPE())
    if byte_level:
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
        tokenizer.train_from_iterator(training_text(), trainer)
    else:
        words = (f"▁{word}" for line in training_text() for word in line.replace("\n", " ").split(" "))
        tokenizer.train_from_iterator(words, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": model["merges"]}


def file(model: dict[str, Any], added: list[str | dict[str, Any]], **parts: object) -> dict[str, Any]:
    """A tokenizer.json; `added` are special tokens by their text, or whole ones without an id."""
    vocab = model["vocab"]
    assert isinstance(vocab, dict)
    tokens = [added_token(0, token) if isinstance(token, str) else token for token in added]
    new = iter(range(len(vocab), len(vocab) + len(tokens)))
    for token in tokens:
        token["id"] = vocab[token["content"]] if token["content"] in vocab else next(new)
    options = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False}
    whole: dict[str, Any] = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens}
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        whole[name] = parts.pop(name, None)
    return whole | {"model": options | parts | model}


def template(before: list[tuple[str, int]], after: list[tuple[str, int]] | None = None) -> dict[str, Any]:
    def special(name: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    after = after or []
    text = {"Sequence": {"id": "A", "type_id": 0}}
    names = {name: {"id": name, "ids": [token], "tokens": [name]} for name, token in before + after}
    single = [special(name) for name, _ in before] + [text] + [special(name) for name, _ in after]
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": names}


def replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def metaspace(scheme: str, *, splits: bool) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": splits}


LLAMA2_DECODER = {
    "type": "Sequence",
    "decoders": [
        replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}  # fmt: skip


def tokenizers() -> dict[str, dict[str, Any]]:
    level, spaced = train(420, byte_level=True), train(620, byte_level=False)
    vocab, merges = spaced["vocab"], spaced["merges"]
    assert isinstance(vocab, dict) and isinstance(merges, list)
    # Some bytes have no piece, so that not every unknown character falls back to them.
    few_bytes: dict[str, Any] = {
        "vocab": {text: token for text, token in vocab.items() if text not in ("<0xE3>", "<0xCC>")}
    }
    few_bytes["merges"] = merges
    digits = {"type": "Digits", "individual_digits": True}
    bos = [("<s>", 1)]
    odd_added: list[str | dict[str, Any]] = [
        "<s>", added_token(0, "<left>", lstrip=True, special=False), added_token(0, "<right>", rstrip=True),
        added_token(0, "hen", single_word=True, special=False), added_token(0, "<both>", lstrip=True, rstrip=True),
        added_token(0, "RIVER", normalized=True, special=False), added_token(0, "<left><right>"),
        added_token(0, "é", normalized=True, special=False), added_token(0, "  ", special=False),
    ]  # fmt: skip
    return {
        "gpt2": file(
            level, ["<|endoftext|>"], pre_tokenizer=BYTE_LEVEL, decoder=BYTE_LEVEL, post_processor=BYTE_LEVEL,
            unk_token="", continuing_subword_prefix="", end_of_word_suffix="",
        ),
        "gpt2-prefix-space": file(
            level, ["<|endoftext|>", added_token(0, "<mask>", lstrip=True)],
            pre_tokenizer=BYTE_LEVEL | {"add_prefix_space": True}, decoder=BYTE_LEVEL,
            post_processor=template([], [("<|endoftext|>", len(level["vocab"]))]),
        ),
        "qwen2": file(
            level, ["<|endoftext|>", "<|im_start|>", added_token(0, "<tool_call>", special=False)],
            normalizer={"type": "NFC"}, pre_tokenizer=split(QWEN2), decoder=BYTE_LEVEL, post_processor=BYTE_LEVEL,
        ),
        "llama3": file(
            level, ["<|begin_of_text|>", "<|eot_id|>"], pre_tokenizer=split(LLAMA3), decoder=BYTE_LEVEL,
            ignore_merges=True, post_processor={
                "type": "Sequence",
                "processors": [BYTE_LEVEL, template([("<|begin_of_text|>", len(level["vocab"]))])],
            },
        ),
        "smollm": file(
            level, ["<|endoftext|>"], decoder=BYTE_LEVEL,
            pre_tokenizer={"type": "Sequence", "pretokenizers": [digits, BYTE_LEVEL]},
        ),
        "llama2": file(
            spaced, ["<unk>", "<s>", "</s>", added_token(0, "<tool>", normalized=True)],
            normalizer={
                "type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")],
            },
            post_processor=template(bos), decoder=LLAMA2_DECODER, unk_token="<unk>", fuse_unk=True,
            byte_fallback=True,
        ),
        "llama2-metaspace": file(
            few_bytes, ["<unk>", "<s>", "</s>"], pre_tokenizer=metaspace("first", splits=False),
            post_processor=template(bos, [("</s>", 2)]), decoder=LLAMA2_DECODER, unk_token="<unk>", fuse_unk=True,
            byte_fallback=True,
        ),
        "metaspace": file(
            spaced, ["<unk>", "<s>"], pre_tokenizer=metaspace("always", splits=True),
            decoder=metaspace("always", splits=True), unk_token="<unk>",
        ),
        "odd": file(
            spaced, odd_added, unk_token="<unk>", fuse_unk=False,
            normalizer={
                "type": "Sequence",
                "normalizers": [
                    {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "NFD"},
                    {"type": "Lowercase"}, replace("the", "a▁"),
                ],
            },
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [
                    metaspace("first", splits=True),
                    {"type": "Split", "pattern": {"String": "o"}, "behavior": "MergedWithPrevious", "invert": False},
                    {"type": "Split", "pattern": {"String": "a"}, "behavior": "Contiguous", "invert": False},
                    {"type": "Split", "pattern": {"String": "q"}, "behavior": "Removed", "invert": False},
                    {"type": "Digits", "individual_digits": False},
                ],
            },
        ),
        "words": file(
            spaced, ["<s>"], pre_tokenizer={"type": "Whitespace"}, unk_token="<unk>", fuse_unk=True,
            decoder={"type": "Sequence", "decoders": [
                {"type": "Strip", "content": "e", "start": 0, "stop": 1}, metaspace("never", splits=True),
            ]},
        ),
        "spaces": file(
            spaced, ["<s>"], pre_tokenizer={"type": "Sequence", "pretokenizers": [
                {"type": "WhitespaceSplit"}, metaspace("first", splits=True),
            ]},
        ),
    }  # fmt: skip


def main() -> None:
    ROOT.mkdir(exist_ok=True)
    for name, content in tokenizers().items():
        path = ROOT / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        made = cases(path, COUNT, SEED) | {"tokenizer": path.name}
        lines = [json.dumps(made["tokenizer"])]
        for part in ("texts", "tokens"):
            rows = made[part]
            assert isinstance(rows, list)
            row = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in rows)
            lines.append(f'"{part}":[\n{row}]')
        text = f'{{"tokenizer":{lines[0]},\n{lines[1]},\n{lines[2]}}}\n'
        path.with_suffix(".cases.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
