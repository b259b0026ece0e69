"""Holds every tensor of a GGUF file against what gguf-py makes of the Hugging Face folder it was exported from.

  python gguf_quantize.py FOLDER MODEL.gguf OUT.json

The folder is one of the Llama family. OUT: {version, tensors, different: [names]}; compared are the stored bytes.
Query and key rows are interleaved as llama.cpp's converter does it (LlamaModel.permute).
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import quantize
from gguf.tensor_mapping import get_tensor_name_map
from gguf.constants import MODEL_ARCH
from safetensors import safe_open


def permute(weights, heads):
    rows = weights.shape[0]
    return weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def main(folder, path, out):
    config = json.loads((Path(folder) / "config.json").read_text())
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    stored = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    different, expected = [], set()
    with safe_open(Path(folder) / "model.safetensors", "np") as weights:
        for name in weights.keys():
            values = weights.get_tensor(name).astype(np.float32)
            if name.endswith("q_proj.weight"):
                values = permute(values, config["num_attention_heads"])
            if name.endswith("k_proj.weight"):
                values = permute(values, config["num_key_value_heads"])
            own = names.get_name(name, try_suffixes=(".weight", ".bias"))
            expected.add(own)
            tensor = stored.get(own)
            same = tensor is not None and quantize(values, tensor.tensor_type).tobytes() == tensor.data.tobytes()
            if not same:
                different.append(own)
    different += sorted(set(stored) - expected - {"rope_freqs.weight"})
    Path(out).write_text(json.dumps({"version": version("gguf"), "tensors": len(expected), "different": different}))


main(*sys.argv[1:])
