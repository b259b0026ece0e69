"""Encodes and decodes strings with Python's tokenizers, and with transformers' own conversion of a GGUF file.

  python tokenizer_ids.py TOKENIZER.json STRINGS.json OUT.json [--gguf FILE]

STRINGS.json is a list of strings. OUT.json: {versions, digests: [...], ids: first 100, gguf: {equal, different}}.
A digest is the start of the SHA-256 of three lines: the ids (no special tokens added), the text decoded without and
with special tokens. `gguf` counts the strings to which transformers' conversion of the GGUF file gives the same ids.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import tokenizers


def digest(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decoded = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (True, False)]
    lines = "\n".join([" ".join(map(str, ids)), *decoded])
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("strings")
    parser.add_argument("out")
    parser.add_argument("--gguf")
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
        import transformers

        path = Path(args.gguf)
        other = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        equal = sum(other.encode(text, add_special_tokens=False) == one for text, one in zip(strings, ids))
        result["versions"]["transformers"] = transformers.__version__
        result["gguf"] = {"equal": equal, "different": len(strings) - equal}
    Path(args.out).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
