"""Encodes and decodes strings with Python's tokenizers, with transformers' own conversion of a GGUF file, and with
tiktoken from the ranks of a Qwen.

  python tokenizer_ids.py TOKENIZER.json STRINGS.json OUT.json [--gguf FILE] [--tiktoken FILE]

STRINGS.json is a list of strings. OUT.json: {versions, digests: [...], ids: first 100, gguf: {equal, different},
tiktoken: {equal, different}}.
A digest is the start of the SHA-256 of three lines: the ids (no special tokens added), the text decoded without and
with special tokens. `gguf` and `tiktoken` count the strings to which the other two give the same ids.
"""

import argparse
import hashlib
import json
import sys
import unicodedata
from pathlib import Path

import tokenizers


def digest(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decoded = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (True, False)]
    lines = "\n".join([" ".join(map(str, ids)), *decoded])
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def counts(encode, strings, ids):
    equal = sum(encode(text) == one for text, one in zip(strings, ids))
    return {"equal": equal, "different": len(strings) - equal}


def gguf_encoder(path):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    return lambda text: tokenizer.encode(text, add_special_tokens=False), {"transformers": transformers.__version__}


def tiktoken_encoder(path, tokenizer):
    """tiktoken merges by rank and never sees the merges that tokenizer.json lists."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    added = {token.content: i for i, token in tokenizer.get_added_tokens_decoder().items()}
    ranks = load_tiktoken_bpe(str(path))
    encoding = tiktoken.Encoding("qwen", pat_str=PRETOKENIZE_REGEX, mergeable_ranks=ranks, special_tokens=added)
    versions = {"tiktoken": tiktoken.__version__}
    return lambda text: encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all"), versions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("strings")
    parser.add_argument("out")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--tiktoken", type=Path)
    args = parser.parse_args()
    strings = json.loads(Path(args.strings).read_text(encoding="utf-8"))
    tokenizer = tokenizers.Tokenizer.from_file(args.tokenizer)
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
    result = {
        "made_by": "verify/peers/tokenizer_ids.py",
        "versions": {"python": sys.version.split()[0], "tokenizers": tokenizers.__version__},
        "digests": [digest(tokenizer, text) for text in strings],
        "ids": ids[:100],
    }
    if args.gguf:
        encode, versions = gguf_encoder(args.gguf)
        result["gguf"] = counts(encode, strings, ids)
        result["versions"].update(versions)
    if args.tiktoken:
        encode, versions = tiktoken_encoder(args.tiktoken, tokenizer)
        result["tiktoken"] = counts(encode, strings, ids)
        result["versions"].update(versions)
    Path(args.out).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
