"""Export a model for OpenVINO GenAI. Run in the export environment.

python export_openvino.py MODEL OUT bf16|int8|int4
"""

from __future__ import annotations

import sys

import openvino
from openvino_tokenizers import convert_tokenizer
from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
from transformers import AutoTokenizer


def main() -> None:
    source, out, format = sys.argv[1:]
    quantization = {
        "bf16": None,
        "int8": OVWeightQuantizationConfig(bits=8, sym=False),
        "int4": OVWeightQuantizationConfig(bits=4, sym=True, group_size=32, ratio=1.0),
    }[format]
    model = OVModelForCausalLM.from_pretrained(
        source, export=True, load_in_8bit=False, compile=False, quantization_config=quantization
    )
    model.save_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.save_pretrained(out)
    for part, name in zip(
        convert_tokenizer(tokenizer, with_detokenizer=True), ("tokenizer", "detokenizer"), strict=True
    ):
        openvino.save_model(part, f"{out}/openvino_{name}.xml")


if __name__ == "__main__":
    main()
