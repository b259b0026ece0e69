"""Logits of transformers' LlamaForCausalLM in float32, to hold hone's engine against on a real model.

  python transformers_logits.py FOLDER TOKENS.json OUT.safetensors [--threads 2]

TOKENS.json is a list of token id lists. OUT.safetensors holds, per list i, logits.<i> [T, V] (float32) and top1.<i>
[T] (int32), T being the length of the list; its metadata carries the versions.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("tokens")
    parser.add_argument("out")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = transformers.LlamaForCausalLM.from_pretrained(
        args.folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    result = {}
    with torch.no_grad():
        for i, tokens in enumerate(json.loads(Path(args.tokens).read_text())):
            logits = model(torch.tensor([tokens])).logits[0]
            result[f"logits.{i}"] = logits.contiguous()
            result[f"top1.{i}"] = logits.argmax(-1).to(torch.int32)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file(result, args.out, metadata=versions)


if __name__ == "__main__":
    main()
