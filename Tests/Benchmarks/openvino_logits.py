"""Write OpenVINO's logits: python openvino_logits.py MODEL TOKENS OUT PRECISION."""

from __future__ import annotations

import pathlib
import sys

if __name__ == "__main__":
    import numpy
    import openvino

    model, tokens, out, precision = sys.argv[1:]
    numbers = numpy.fromfile(tokens, dtype=numpy.int32).astype(numpy.int64)[None]
    compiled = openvino.Core().compile_model(
        pathlib.Path(model) / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": precision}
    )
    inputs = {
        "input_ids": numbers,
        "attention_mask": numpy.ones_like(numbers),
        "position_ids": numpy.arange(numbers.size, dtype=numpy.int64)[None],
        "beam_idx": numpy.zeros(1, dtype=numpy.int32),
    }
    compiled(inputs)["logits"].astype(numpy.float32).tofile(out)
