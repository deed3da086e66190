#!/usr/bin/env python3
"""Check llama2c.py by transformers: the greedy text of stories260K, and encoding against llama2.c's own rule.

Run by hand, with the packages of requirements.txt beside this file:

    python Tests/Fixtures/check_llama2c.py ../shared/models/stories260K
"""

import pathlib
import random
import sys
import tempfile

import tokenizers
import torch
import transformers

import llama2c


def encode(text, pieces):
    """Encode as llama2.c does: BOS, a space before the text, then joins by the best score, the leftmost first."""
    ids = {piece: i for i, (piece, _) in enumerate(pieces) if i >= llama2c.BYTES + 256}
    out = []
    for character in ("▁" + text.replace(" ", "▁")) if text else "":
        out += [ids[character]] if character in ids else [byte + llama2c.BYTES for byte in character.encode()]
    while True:
        joins = [
            (pieces[ids[joint]][1], -i, ids[joint])
            for i in range(len(out) - 1)
            if (joint := pieces[out[i]][0] + pieces[out[i + 1]][0]) in ids
        ]
        if not joins:
            return [llama2c.BOS, *out]
        _, i, best = max(joins)
        out[-i : -i + 2] = [best]


def main():
    transformers.utils.logging.disable_progress_bar()
    source = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        llama2c.convert(source / "stories260K.bin", source / "tok512.bin", folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
    ids = model.generate(
        torch.tensor([[llama2c.BOS]]), max_new_tokens=200, do_sample=False, eos_token_id=None, pad_token_id=0
    )[0].tolist()
    text = tokenizer.decode(ids)
    expected = (source / "stories260K.greedy200.expected.txt").read_text()
    print(len(ids) - 1, "tokens;", "text equal" if text == expected else f"text differs: {text!r}")

    pieces = llama2c.read_pieces(source / "tok512.bin", 512)
    story = expected.replace("\n", " ").split(" ")
    draw, different = random.Random(0), 0
    for _ in range(20000):
        sample = " ".join(draw.choices(story, k=draw.randint(0, 8)))
        if draw.random() < 0.5:
            sample += "".join(
                chr(draw.choice([10, 32, 32, 97, 104, 233, 8364, 0x1F35C])) for _ in range(draw.randint(0, 9))
            )
        found = tokenizer.encode(sample).ids
        decoded = tokenizer.decode(found)
        different += found != encode(sample, pieces) or decoded != sample
    print(different, "of 20000 encodings differ")
    sys.exit(text != expected or different > 0)


if __name__ == "__main__":
    main()
