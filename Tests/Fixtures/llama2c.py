#!/usr/bin/env python3
"""Convert a llama2.c checkpoint and its vocabulary to a Hugging Face folder, with the standard library alone.

    python Tests/Fixtures/llama2c.py stories260K.bin tok512.bin FOLDER

writes config.json, generation_config.json, model.safetensors (F32) and tokenizer.json.

Rope. llama2.c rotates the neighbours (2i, 2i+1) of a head of h elements by the angle p·θ^(−2i/h) at position p; Hugging
Face rotates the halves (i, i + h/2) by that same angle. Let P be the permutation with P(i) = 2i and P(i + h/2) = 2i + 1
for i < h/2. With the rows of each head of wq and wk in the order P, element j of the new q and k is element P(j) of the
old: what was the pair (2i, 2i+1) is the pair (i, i + h/2), turned as before. Each element moves to the same place in q
and in k, so their dot product has the same terms. wv and wo do not take part.

Vocabulary. llama2.c keeps pieces with scores and no merges: it joins, again and again, the neighbours whose joint piece
has the highest score. That is BPE whose merges are all splits of each piece in two, by descending score. Where two
splits of one piece stand in a text, llama2.c takes the leftmost and BPE the one listed first; on texts of this
vocabulary the results are equal (check_llama2c.py).
"""

import array
import json
import pathlib
import struct
import sys

BOS, EOS, BYTES = 1, 2, 3  # ids; the 256 bytes follow from BYTES on


def read_checkpoint(path):
    """Return the configuration and the tensors, {name: (shape, floats)}, in Hugging Face's names and rope layout."""
    data = pathlib.Path(path).read_bytes()
    dim, inner, layers, heads, kv_heads, vocab, positions = struct.unpack_from("<7i", data)
    tied, vocab = vocab > 0, abs(vocab)
    head = dim // heads
    floats = array.array("f", data[28:])
    if sys.byteorder == "big":
        floats.byteswap()
    offset = 0

    def take(*shape):
        nonlocal offset
        count = 1
        for size in shape:
            count *= size
        offset += count
        if offset > len(floats):
            raise SystemExit(f"{path}: {len(floats)} floats, at least {offset} are needed")
        return shape, floats[offset - count : offset]

    def halves(tensor):
        """Reorder the rows of each head from neighbouring pairs to halves."""
        (rows, columns), values = tensor
        out = array.array("f")
        for first in range(0, rows, head):
            for row in [*range(first, first + head, 2), *range(first + 1, first + head, 2)]:
                out.extend(values[row * columns : (row + 1) * columns])
        return (rows, columns), out

    tensors = {"model.embed_tokens.weight": take(vocab, dim)}
    # Each kind of weight is stored for all layers together.
    for name, shape, change in [
        ("input_layernorm", (dim,), None),
        ("self_attn.q_proj", (heads * head, dim), halves),
        ("self_attn.k_proj", (kv_heads * head, dim), halves),
        ("self_attn.v_proj", (kv_heads * head, dim), None),
        ("self_attn.o_proj", (dim, heads * head), None),
        ("post_attention_layernorm", (dim,), None),
        ("mlp.gate_proj", (inner, dim), None),
        ("mlp.down_proj", (dim, inner), None),
        ("mlp.up_proj", (inner, dim), None),
    ]:
        for layer in range(layers):
            tensor = take(*shape)
            tensors[f"model.layers.{layer}.{name}.weight"] = change(tensor) if change else tensor
    tensors["model.norm.weight"] = take(dim)
    take(positions, head)  # cosines and sines, no longer used
    if not tied:
        tensors["lm_head.weight"] = take(vocab, dim)
    if offset != len(floats):
        raise SystemExit(f"{path}: {len(floats)} floats, {offset} belong to the model")
    config = dict(
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        hidden_act="silu",
        hidden_size=dim,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=vocab,
        max_position_embeddings=positions,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=tied,
        bos_token_id=BOS,
        eos_token_id=EOS,
        torch_dtype="float32",
    )
    return config, tensors


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (shape, values) in tensors.items():
        size = 4 * len(values)
        header[name] = dict(dtype="F32", shape=list(shape), data_offsets=[offset, offset + size])
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            if sys.byteorder == "big":
                values = array.array("f", values)
                values.byteswap()
            file.write(values.tobytes())


def read_pieces(path, count):
    """Return [(piece, score)]; llama2.c's file has spaces where SentencePiece has ▁."""
    data = pathlib.Path(path).read_bytes()
    offset, pieces = 4, []
    for _ in range(count):
        score, length = struct.unpack_from("<fi", data, offset)
        offset += 8 + length
        pieces.append((data[offset - length : offset].decode(), score))
    names = {0: "<unk>", BOS: "<s>", EOS: "</s>"}
    names |= {BYTES + byte: f"<0x{byte:02X}>" for byte in range(256)}
    return [(names.get(i, piece.replace(" ", "▁")), score) for i, (piece, score) in enumerate(pieces)]


def tokenizer(pieces):
    """Return tokenizer.json's content."""
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    ordinary = {piece: score for piece, score in pieces[BYTES + 256 :]}
    merges = [
        (-score, piece[:cut], piece[cut:])
        for piece, score in ordinary.items()
        for cut in range(1, len(piece))
        if piece[:cut] in ordinary and piece[cut:] in ordinary
    ]
    merges.sort(key=lambda merge: merge[0])
    special = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return dict(
        version="1.0",
        truncation=None,
        padding=None,
        added_tokens=[dict(id=i, content=pieces[i][0], **special) for i in range(BYTES)],
        normalizer=dict(
            type="Sequence",
            normalizers=[
                dict(type="Prepend", prepend="▁"),
                dict(type="Replace", pattern={"String": " "}, content="▁"),
            ],
        ),
        pre_tokenizer=None,
        post_processor=dict(
            type="TemplateProcessing",
            single=[bos, {"Sequence": {"id": "A", "type_id": 0}}],
            pair=[bos, {"Sequence": {"id": "A", "type_id": 0}}, bos, {"Sequence": {"id": "B", "type_id": 1}}],
            special_tokens={"<s>": dict(id="<s>", ids=[BOS], tokens=["<s>"])},
        ),
        decoder=dict(
            type="Sequence",
            decoders=[
                dict(type="Replace", pattern={"String": "▁"}, content=" "),
                dict(type="ByteFallback"),
                dict(type="Fuse"),
                dict(type="Strip", content=" ", start=1, stop=0),
            ],
        ),
        model=dict(
            type="BPE",
            dropout=None,
            unk_token="<unk>",
            continuing_subword_prefix=None,
            end_of_word_suffix=None,
            fuse_unk=True,
            byte_fallback=True,
            ignore_merges=False,
            vocab=vocab,
            merges=[[left, right] for _, left, right in merges],
        ),
    )


def convert(checkpoint, vocabulary, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config, tensors = read_checkpoint(checkpoint)
    write_safetensors(folder / "model.safetensors", tensors)
    generation = dict(bos_token_id=BOS, eos_token_id=EOS)
    content = tokenizer(read_pieces(vocabulary, config["vocab_size"]))
    for name, value in [("config", config), ("generation_config", generation), ("tokenizer", content)]:
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    convert(*sys.argv[1:])
