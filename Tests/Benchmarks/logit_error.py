"""Print the rms of the difference of two files of f32, over the standard deviation of the first."""

from __future__ import annotations

import sys

import numpy

if __name__ == "__main__":
    reference, logits = (numpy.fromfile(path, dtype=numpy.float32).astype(numpy.float64) for path in sys.argv[1:])
    print(numpy.sqrt(numpy.mean((reference - logits) ** 2)) / numpy.std(reference))
