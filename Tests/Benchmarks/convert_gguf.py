"""Run llama.cpp's converter on a model whose tokenizer it does not know by name.

    python convert_gguf.py LLAMA_CPP_SOURCE MODEL --outfile FILE --outtype bf16

The converter tells pre-tokenizers apart by a hash of what they make of a sample, and refuses one that it has never
seen, such as that of a model with random weights. Here the architecture decides.
"""

import json
import runpy
import sys
from pathlib import Path

PRE_TOKENIZERS = {"qwen2": "qwen2", "llama": "llama-bpe"}


def main() -> None:
    source, model = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    from conversion.base import TextModel

    kind = json.loads((model / "config.json").read_text())["model_type"]
    TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE_TOKENIZERS[kind]
    script = source / "convert_hf_to_gguf.py"
    sys.argv = [str(script), *sys.argv[2:]]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
