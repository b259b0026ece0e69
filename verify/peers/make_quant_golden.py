"""Makes tests/golden/model/quants.json: random blocks of every GGML format hone decodes, and gguf-py's float32 values.

  python verify/peers/make_quant_golden.py tests/golden/model/quants.json

Scales are random finite halves (subnormals, zeros and negatives among them), quants are random bytes. Blocks and
values are base64 of their little-endian bytes.
"""

import base64
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

# Where the half-precision scales lie in a block.
SCALES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.F16: [0], Type.BF16: [], Type.F32: [],
}


def random_half(rng):
    """A finite half: any sign and mantissa, exponents below all ones."""
    return int(rng.integers(0, 2)) << 15 | int(rng.integers(0, 31)) << 10 | int(rng.integers(0, 1024))


def random_blocks(kind, count, rng):
    _, size = GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if kind == Type.F32:
        return rng.normal(size=count).astype("<f4").view(np.uint8)
    if kind == Type.BF16:
        return (rng.normal(size=count).astype("<f4").view("<u4") >> 16).astype("<u2").view(np.uint8)
    for block in data:
        for at in SCALES[kind]:
            block[at:at + 2] = np.array([random_half(rng)], "<u2").view(np.uint8)
    return data.reshape(-1)


def main():
    rng = np.random.default_rng(7)
    cases = []
    for kind in SCALES:
        values, _ = GGML_QUANT_SIZES[kind]
        blocks = random_blocks(kind, 32 if values == 1 else 256 // values * 2, rng)
        decoded = np.ascontiguousarray(dequantize(blocks.reshape(1, -1), kind), dtype="<f4")
        encode = lambda array: base64.b64encode(array.tobytes()).decode()
        cases.append({"name": kind.name, "type": int(kind), "blocks": encode(blocks), "values": encode(decoded)})
    versions = {"python": sys.version.split()[0], "gguf": version("gguf"), "numpy": np.__version__}
    golden = {"made_by": "verify/peers/make_quant_golden.py", "versions": versions, "cases": cases}
    Path(sys.argv[1]).write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
