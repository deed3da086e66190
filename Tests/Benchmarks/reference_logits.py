"""Write the logits of Hugging Face transformers in f32: python reference_logits.py MODEL TOKENS OUT."""

from __future__ import annotations

import sys

import numpy
import torch
from transformers import AutoModelForCausalLM

if __name__ == "__main__":
    model, tokens, out = sys.argv[1:]
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(numpy.fromfile(tokens, dtype=numpy.int32).astype("int64"))[None]).logits[0]
    logits.numpy().astype(numpy.float32).tofile(out)
