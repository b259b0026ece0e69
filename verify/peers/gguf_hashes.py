"""Dequantises every tensor of a GGUF file with gguf-py, and loads the file with transformers.

  python gguf_hashes.py FILE.gguf OUT.json

OUT.json: {versions, gguf: {tensor: sha256}, transformers: {tensor: sha256}}, hashes of the little-endian float32
values: under llama.cpp's names as gguf.quants.dequantize gives them, and under Hugging Face's names as
transformers' own GGUF loader gives them (query and key rows put back into Hugging Face's order).
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from gguf import GGUFReader
from gguf.quants import dequantize


def sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def main():
    path = Path(sys.argv[1])
    raw = {t.name: sha256(dequantize(t.data, t.tensor_type)) for t in GGUFReader(path).tensors}
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    loaded = {name: sha256(tensor.numpy()) for name, tensor in model.state_dict().items()}
    versions = {
        "python": sys.version.split()[0], "gguf": version("gguf"), "numpy": np.__version__,
        "transformers": transformers.__version__, "torch": torch.__version__,
    }
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "gguf": raw, "transformers": loaded}))


if __name__ == "__main__":
    main()
