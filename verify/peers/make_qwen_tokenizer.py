"""Makes the tokenizer of Qwen3 as a Hugging Face folder, from the vocabulary that Alibaba's own packages carry.

  pip install tiktoken dashscope
  python make_qwen_tokenizer.py OUT [--tiktoken FILE] [--template FILE.jinja ...]

The vocabulary is dashscope/resources/qwen.tiktoken (Apache-2.0): the 151,643 ranks that Qwen, Qwen2, Qwen2.5 and
Qwen3 share. transformers' converter turns ranks into merges, its Qwen2Tokenizer gives the steps around them, and the
added tokens are those of Qwen3's tokenizer_config.json (Qwen2.5 has all but the last four). The ranks are copied too,
for tiktoken itself as a second peer. Chat templates are copied: the first becomes chat_template.jinja. llama.cpp keeps
Qwen's in models/templates/Qwen-*.jinja.
"""

import argparse
import hashlib
import importlib.util
import shutil
from pathlib import Path

import transformers
from tokenizers import AddedToken
from transformers.convert_slow_tokenizer import TikTokenConverter

SHA256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"
FIRST_ADDED = 151643
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]
PLAIN = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
]


def packaged_vocabulary():
    """The file inside the installed package, which is not imported."""
    spec = importlib.util.find_spec("dashscope")
    if spec is None:
        raise SystemExit("no --tiktoken FILE given and dashscope is not installed")
    return Path(spec.submodule_search_locations[0]) / "resources" / "qwen.tiktoken"


def make_tokenizer(path):
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{path}: not the published qwen.tiktoken")
    vocab, merges = TikTokenConverter(str(path)).extract_vocab_merges_from_model(str(path))
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocab, merges=merges, eos_token=None, pad_token=None, unk_token=None, model_max_length=131072
    )
    added = [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    added += [AddedToken(token, special=False, normalized=False) for token in PLAIN]
    tokenizer.add_tokens(added)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    ids = tokenizer.convert_tokens_to_ids([*SPECIAL, *PLAIN])
    if ids != list(range(FIRST_ADDED, FIRST_ADDED + len(ids))):
        raise SystemExit(f"added tokens have ids {ids}")
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--tiktoken", type=Path)
    parser.add_argument("--template", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    out = Path(args.out)
    vocabulary = args.tiktoken or packaged_vocabulary()
    make_tokenizer(vocabulary).save_pretrained(out)
    shutil.copyfile(vocabulary, out / "qwen.tiktoken")
    for i, template in enumerate(args.template):
        shutil.copyfile(template, out / ("chat_template.jinja" if i == 0 else template.name))
    print(out)


if __name__ == "__main__":
    main()
