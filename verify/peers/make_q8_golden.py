"""Makes tests/golden/model/q8_0.json: float32 values and what gguf-py quantises them to, both as base64.

  python verify/peers/make_q8_golden.py tests/golden/model/q8_0.json
"""

import base64
import json
import sys
from importlib.metadata import version

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

rng = np.random.default_rng(7)
rows = [rng.normal(0, 10.0**scale, 32) for scale in range(-8, 4)]
rows += [np.zeros(32), np.full(32, 3.25), np.linspace(-1, 1, 32), np.eye(32)[3] * -7.5]
# Halves of a step, where rounding away from zero and to even differ.
rows += [np.r_[127.0, np.arange(31) - 15.5], np.r_[-254.0, 2 * np.arange(31) - 31]]
values = np.stack(rows).astype(np.float32)
encode = lambda array: base64.b64encode(array.tobytes()).decode()
golden = {"values": encode(values), "bytes": encode(quantize(values, GGMLQuantizationType.Q8_0)), "gguf": version("gguf")}
with open(sys.argv[1], "w") as out:
    json.dump(golden, out)
    out.write("\n")
