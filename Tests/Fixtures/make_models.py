#!/usr/bin/env python3
"""Make the small random models, adapters and soups of Tests/Fixtures, with the results expected of them.

Run by hand, with the packages of requirements.txt beside this file:

    python Tests/Fixtures/make_models.py

Each model is a Hugging Face folder below models/, made by `transformers` from a fixed seed. What is expected of it
lies in its `expected.safetensors`, every tensor F32 (whole numbers too, so that a reader of floats is enough):

    tokens     [64]          random token ids
    logits     [64, vocab]   of all positions of one forward pass in f32 with eager attention
    greedy     [32]          the greedy continuation of the first 8 tokens, with a KV cache
    margin     [1]           the least gap between the highest and the second logit on the way

An adapter's and a soup's `expected.safetensors` hold `tokens` and the logits of the last 16 of their positions:
adapters `logits` [16, vocab] (the PEFT forward pass) and `merged` [16, vocab] (after merge_and_unload); soups
`coefficients` [blends, backbones] and `logits` [blends, 16, vocab], of weights mixed in float64 and rounded once.
"""

import copy
import dataclasses
import json
import pathlib
import shutil

import tokenizers
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent
POSITIONS, LAST, PROMPT, CONTINUATION = 64, 16, 8, 32
LEAST_MARGIN = 5e-3
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclasses.dataclass
class Model:
    """One random model: its configuration, the type its weights are stored in and the spelling of its config.json."""

    architecture: str
    config: dict
    spelling: str = "old"  # rope_theta, rope_scaling, torch_dtype; "new": rope_parameters, dtype (transformers 5)
    dtype: torch.dtype = torch.float32
    shard: str = "1GB"
    drop: tuple[str, ...] = ()  # keys that config.json leaves to their defaults
    extra: dict = dataclasses.field(default_factory=dict)  # keys that config.json gets as they are
    eos: list[int] | None = None  # of generation_config.json, beside the one of config.json
    text: bool = False  # with a tokenizer.json


def shape(hidden=32, heads=4, kv=2, head=8, inner=48, vocab=128, tie=True, **other):
    return dict(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        head_dim=head,
        intermediate_size=inner,
        vocab_size=vocab,
        tie_word_embeddings=tie,
        num_hidden_layers=2,
        max_position_embeddings=256,
        bos_token_id=vocab - 4,
        eos_token_id=vocab - 3,
        **other,
    )


def rope(theta, kind="default", **other):
    return dict(rope_theta=theta, rope_type=kind, **other)


# With an original length of 32 and these bases, some of the frequencies are kept, some blended and some divided.
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

MODELS = {
    "llama2": Model(
        "Llama",
        shape(kv=4, tie=False, rms_norm_eps=1e-5, rope_parameters=rope(10000.0)),
        drop=("head_dim", "num_key_value_heads"),
    ),
    "llama2-sharded": Model(
        "Llama",
        shape(kv=4, tie=False, rms_norm_eps=1e-5, rope_parameters=rope(10000.0)),
        spelling="new",
        shard="40KB",
    ),
    "llama3": Model(
        "Llama",
        shape(vocab=288, rms_norm_eps=1e-5, rope_parameters=rope(500.0, "llama3", **LLAMA3)),
        eos=[285, 287],
        text=True,
    ),
    "llama3-rope-parameters": Model(
        "Llama",
        shape(kv=1, head=16, rms_norm_eps=1e-5, rope_parameters=rope(10000.0, "llama3", **LLAMA3)),
        spelling="new",
    ),
    "llama3-bf16": Model(
        "Llama",
        shape(rms_norm_eps=1e-5, rope_parameters=rope(500.0, "llama3", **LLAMA3)),
        spelling="new",
        dtype=torch.bfloat16,
    ),
    "llama-linear": Model(
        "Llama",
        shape(rms_norm_eps=1e-5, rope_parameters=rope(10000.0, "linear", factor=4.0)),
        extra={"rope_scaling": {"type": "linear", "factor": 4.0}},
    ),
    # A window that use_sliding_window switches off.
    "qwen2": Model(
        "Qwen2",
        shape(rms_norm_eps=1e-6, rope_parameters=rope(1000000.0)),
        drop=("head_dim",),
        extra={"use_sliding_window": False, "sliding_window": 16, "max_window_layers": 1},
    ),
    # The first layer attends to everything, the second to the last 16 positions.
    "qwen2-window": Model(
        "Qwen2",
        shape(
            rms_norm_eps=1e-6,
            rope_parameters=rope(10000.0),
            use_sliding_window=True,
            sliding_window=16,
            max_window_layers=1,
        ),
        drop=("head_dim",),
    ),
    "qwen3": Model("Qwen3", shape(heads=2, kv=1, head=32, rms_norm_eps=1e-6, rope_parameters=rope(1000000.0))),
    "qwen3-window": Model(
        "Qwen3",
        shape(
            tie=False,
            head=16,
            rms_norm_eps=1e-6,
            rope_parameters=rope(10000.0),
            use_sliding_window=True,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        spelling="new",
    ),
    "mistral": Model(
        "Mistral",
        shape(kv=1, tie=False, rms_norm_eps=1e-5, sliding_window=16, rope_parameters=rope(10000.0)),
        drop=("head_dim",),
    ),
    "mistral-f16": Model(
        "Mistral",
        shape(head=16, tie=False, rms_norm_eps=1e-5, sliding_window=None, rope_parameters=rope(1000000.0)),
        dtype=torch.float16,
    ),
    "smollm": Model(
        "Llama",
        shape(hidden=72, heads=9, kv=3, head=8, inner=24, vocab=130, rms_norm_eps=1e-5, rope_parameters=rope(10000.0)),
    ),
}


def generator(*key):
    """Return a random generator that depends on the key alone."""
    seed = 0
    for byte in repr(key).encode():
        seed = (seed * 1099511628211 + byte) % (1 << 62)
    return torch.Generator().manual_seed(seed)


def randomise(model, dtype, *key):
    """Draw weights of a storage type that make the logits differ: deviation 0.3, norms 1 ± 0.2, biases ± 0.3.

    They stay F32 tensors, and only parameters are rounded: model.to(dtype) would round the rope's frequencies too.
    """
    for name, parameter in sorted(model.named_parameters()):
        mean, deviation = (1.0, 0.2) if "norm" in name else (0.0, 0.3)
        noise = torch.randn(parameter.shape, generator=generator(*key, name))
        parameter.data = (mean + deviation * noise).to(dtype).float()


def forward(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].float()


def greedy(model, prompt, count):
    """Return the greedy continuation by a KV cache and the least gap between first and second on the way."""
    past, step, out, margin = None, list(prompt), [], float("inf")
    for _ in range(count):
        with torch.no_grad():
            result = model(torch.tensor([step]), past_key_values=past, use_cache=True)
        past = result.past_key_values
        (first, second), (best, _) = result.logits[0, -1].float().topk(2)
        margin = min(margin, float(first - second))
        step = [int(best)]
        out += step
    return out, margin


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def f32(values):
    return torch.as_tensor(values, dtype=torch.float32).contiguous()


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_config(folder, model):
    """Write config.json in the spelling asked for, without what no reader needs."""
    config = json.loads((folder / "config.json").read_text())
    for key in (
        "transformers_version",
        "use_cache",
        "initializer_range",
        "attention_dropout",
        "pretraining_tp",
        "pad_token_id",
    ):
        config.pop(key, None)
    if model.spelling == "old":
        parameters = config.pop("rope_parameters")
        config.pop("layer_types", None)
        config["rope_theta"] = parameters.pop("rope_theta")
        config["rope_scaling"] = None if parameters["rope_type"] == "default" else parameters
        config["torch_dtype"] = config.pop("dtype")
    for key in model.drop:
        config.pop(key, None)
    config.update(model.extra)
    write_json(folder / "config.json", config)


def write_tokenizer(folder):
    """Write a byte-level BPE tokenizer of 284 pieces and 4 special tokens, with Llama 3's pre-tokenizer and BOS."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"]
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    story = "Once upon a time there was a bone. The dog and the cat made a soup of it, and the soup was very good."
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=284, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([story] * 4, trainer)
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=special[0] + " $A", special_tokens=[(special[0], tokenizer.token_to_id(special[0]))]
    )
    assert [tokenizer.token_to_id(token) for token in special] == [284, 285, 286, 287]
    tokenizer.save(str(folder / "tokenizer.json"))


def make_model(name, spec):
    """Write one model, of the first seed with clear greedy choices and no end token, and what is expected of it."""
    folder = ROOT / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    config = getattr(transformers, spec.architecture + "Config")(**copy.deepcopy(spec.config))
    ends = {spec.config["eos_token_id"], *(spec.eos or [])}
    for seed in range(1000):
        model = getattr(transformers, spec.architecture + "ForCausalLM")(config).eval()
        model.set_attn_implementation("eager")
        randomise(model, spec.dtype, name, seed)
        tokens = torch.randint(0, spec.config["vocab_size"] - 4, (POSITIONS,), generator=generator(name, seed)).tolist()
        continuation, margin = greedy(model, tokens[:PROMPT], CONTINUATION)
        if margin > LEAST_MARGIN and not ends & set(continuation) and len(set(continuation)) > 4:
            break
    else:
        raise SystemExit(f"no seed of {name} has clear greedy choices")

    logits = forward(model, tokens)
    model.to(spec.dtype).save_pretrained(folder, max_shard_size=spec.shard)
    write_config(folder, spec)
    eos = spec.eos or spec.config["eos_token_id"]
    write_json(folder / "generation_config.json", dict(bos_token_id=spec.config["bos_token_id"], eos_token_id=eos))
    if spec.text:
        write_tokenizer(folder)
    expected = dict(tokens=f32(tokens), logits=logits, greedy=f32(continuation), margin=f32([margin]))
    save_file(expected, folder / "expected.safetensors")

    reread = load(folder)
    exact = forward(copy.deepcopy(reread).double(), tokens)  # RMS norms and softmax stay in f32 here
    same = torch.equal(forward(reread, tokens), logits)
    print(
        f"{name:24} seed {seed:3} margin {margin:.4f} logits ±{logits.std():.2f} f64 {relative(logits, exact):.1e}"
        f" re-read equal: {same}"
    )
    assert same
    return tokens


ADAPTERS = {
    ("llama3", "plain"): dict(r=4, lora_alpha=8, target_modules=LINEARS),
    ("llama3", "patterns"): dict(
        r=4,
        lora_alpha=6,
        target_modules=["q_proj", "v_proj", "o_proj", "down_proj"],
        layers_to_transform=[1],
        rank_pattern={"q_proj": 2, "down_proj": 6},
        alpha_pattern={"v_proj": 3, "layers.1.mlp.down_proj": 10},
        use_rslora=True,
    ),
    ("llama3", "attention"): dict(r=2, lora_alpha=2, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]),
    ("qwen2", "plain"): dict(r=4, lora_alpha=8, target_modules=LINEARS),
    ("qwen2", "patterns"): dict(
        r=3,
        lora_alpha=5,
        target_modules=["k_proj", "gate_proj", "up_proj"],
        layers_to_transform=[0],
        rank_pattern={"gate_proj": 5},
        alpha_pattern={"k_proj": 7},
        use_rslora=True,
    ),
    ("llama2", "embeddings"): dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "q_proj", "lm_head"]),
}


def make_adapter(base, name, options, tokens):
    """Write one PEFT adapter of random non-zero weights and its expected logits."""
    folder = ROOT / "models" / base / "adapters" / name
    options = dict(options, task_type="CAUSAL_LM", lora_dropout=0.0)
    model = get_peft_model(load(ROOT / "models" / base), LoraConfig(**options)).eval()
    for key, parameter in sorted(model.named_parameters()):
        if "lora_" in key:
            parameter.data = 0.15 * torch.randn(parameter.shape, generator=generator(base, name, key))
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "../.."
    write_json(
        folder / "adapter_config.json", {k: sorted(v) if k == "target_modules" else v for k, v in config.items()}
    )

    again = PeftModel.from_pretrained(load(ROOT / "models" / base), folder).eval()
    logits = forward(again, tokens)
    assert torch.equal(logits, forward(model, tokens))
    merged = forward(again.merge_and_unload(), tokens)
    save_file(
        dict(tokens=f32(tokens), logits=logits[-LAST:].clone(), merged=merged[-LAST:].clone()),
        folder / "expected.safetensors",
    )
    change = relative(logits, forward(load(ROOT / "models" / base), tokens))
    print(f"{base}/{name:20} merged against unmerged {relative(merged, logits):.1e}, against the base {change:.2f}")


def state(model):
    return {name: value.detach().double() for name, value in model.state_dict().items()}


def full_delta(folder, base):
    tuned = state(load(folder))
    return {name: tuned[name] - base[name] for name in base}


def lora_delta(folder, base_folder):
    """Return the float64 change of each weight that a PEFT adapter makes: s·B·A, with PEFT's own s per module."""
    model = PeftModel.from_pretrained(load(base_folder), folder)
    delta = {}
    for name, module in model.base_model.model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        if "default" in module.lora_A:
            change = module.lora_B["default"].weight.double() @ module.lora_A["default"].weight.double()
        else:  # an embedding: A is [rank, vocab], B [hidden, rank], and the weight [vocab, hidden]
            change = (module.lora_embedding_B["default"].double() @ module.lora_embedding_A["default"].double()).T
        delta[name + ".weight"] = change.detach() * module.scaling["default"]
    return delta


def make_soup(name, base, backbones, deltas, objectives, matrix, coefficients, tokens):
    """Write a soup.json and the logits expected of several blends of it."""
    folder = ROOT / "soups" / name
    folder.mkdir(parents=True, exist_ok=True)
    soup = dict(bonesoup=1, base=f"../../models/{base}", objectives=[dict(name=o) for o in objectives])
    soup.update(backbones=[dict(path=path) for path in backbones], matrix=matrix)
    write_json(folder / "soup.json", soup)
    model = load(ROOT / "models" / base)
    weights = state(model)
    logits = []
    for blend in coefficients:
        mixed = dict(weights)
        for coefficient, delta in zip(blend, deltas, strict=True):
            for key, change in delta.items():
                mixed[key] = mixed[key] + coefficient * change
        if "lm_head.weight" in mixed and model.config.tie_word_embeddings:
            mixed["lm_head.weight"] = mixed["model.embed_tokens.weight"]
        model.load_state_dict({key: value.float() for key, value in mixed.items()})
        logits.append(forward(model, tokens)[-LAST:])
    save_file(
        dict(tokens=f32(tokens), coefficients=f32(coefficients), logits=torch.stack(logits)),
        folder / "expected.safetensors",
    )
    print(f"{name:24} deviations", " ".join(f"{x.std():.2f}" for x in logits))


def make_tune(base, folder, key):
    """Write a full fine-tune: the base with noise on every weight."""
    shutil.rmtree(folder, ignore_errors=True)
    model = load(ROOT / "models" / base)
    for name, parameter in sorted(model.named_parameters()):
        parameter.data += 0.08 * torch.randn(parameter.shape, generator=generator(base, key, name))
    model.save_pretrained(folder)
    write_config(folder, MODELS[base])
    (folder / "generation_config.json").unlink()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print("torch", torch.__version__, "transformers", transformers.__version__)
    tokens = {name: make_model(name, spec) for name, spec in MODELS.items()}
    for (base, name), options in ADAPTERS.items():
        make_adapter(base, name, options, tokens[base])

    shutil.rmtree(ROOT / "soups", ignore_errors=True)
    paths = [ROOT / "soups" / "llama3-full" / "backbones" / str(i) for i in range(2)]
    for i, path in enumerate(paths):
        make_tune("llama3", path, i)
    base = state(load(ROOT / "models" / "llama3"))
    make_soup(
        "llama3-full",
        "llama3",
        ["backbones/0", "backbones/1"],
        [full_delta(path, base) for path in paths],
        ["brief", "happy"],
        [[0.3, 0.7], [0.7, 0.3]],
        [(0, 0), (1, 0), (0, 1), (-0.75, 1.75), (0.5, 0.5)],
        tokens["llama3"],
    )
    for name, base, adapters, objectives, matrix, coefficients in [
        (
            "llama3-lora",
            "llama3",
            ["plain", "patterns", "attention"],
            ["brief", "happy", "rich"],
            {"rule": "bone", "beta": 0.6},
            [(2, -0.5, -0.5), (-0.75, 1.75, 0), (1 / 3, 1 / 3, 1 / 3)],
        ),
        (
            "qwen2-lora",
            "qwen2",
            ["plain", "patterns"],
            ["brief", "happy"],
            [[0.8, 0.2], [0.4, 0.6]],
            [(1.5, -0.5), (-0.75, 1.75)],
        ),
        ("llama2-embeddings", "llama2", ["embeddings"], ["brief"], [[1.0]], [(1,), (-1.5,)]),
    ]:
        folders = [ROOT / "models" / base / "adapters" / adapter for adapter in adapters]
        make_soup(
            name,
            base,
            [f"../../models/{base}/adapters/{adapter}" for adapter in adapters],
            [lora_delta(folder, ROOT / "models" / base) for folder in folders],
            objectives,
            matrix,
            coefficients,
            tokens[base],
        )


if __name__ == "__main__":
    main()
