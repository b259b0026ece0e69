"""Whether models say the same in transformers after hone has exported them.

  python compare_folders.py BEFORE AFTER OUT.json

BEFORE and AFTER hold model folders of the same names. OUT.json: for each name the largest difference of any logit on
48 tokens, and the tensors that transformers found missing or unexpected in AFTER.
"""

import json
import sys
from pathlib import Path

import torch
import transformers


def load(folder):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    return model.eval(), sorted([*info["missing_keys"], *info["unexpected_keys"]])


def compare(before, after):
    (one, _), (other, odd) = load(before), load(after)
    tokens = torch.arange(48)[None] % one.config.vocab_size
    with torch.no_grad():
        worst = (one(tokens).logits - other(tokens).logits).abs().max().item()
    return {"maxDifference": worst, "oddTensors": odd}


def main():
    before, after = Path(sys.argv[1]), Path(sys.argv[2])
    transformers.utils.logging.disable_progress_bar()
    names = sorted(path.name for path in before.iterdir() if path.is_dir())
    result = {name: compare(before / name, after / name) for name in names}
    Path(sys.argv[3]).write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
