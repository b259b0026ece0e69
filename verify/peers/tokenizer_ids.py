"""Encodes and decodes strings with Python's tokenizers (and optionally transformers' own GGUF conversion).

  python tokenizer_ids.py TOKENIZER.json STRINGS.json OUT.json [--gguf FILE]

STRINGS.json is a list of strings. OUT.json: {versions, ids: [[...], ...], decoded: [...], special: "decoded, special
tokens kept", gguf: {equal, different}} where `gguf` counts the strings on which transformers' conversion of the GGUF
file agrees with the tokenizer.json.
"""

import argparse
import json
import sys
from pathlib import Path

import tokenizers


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
        "versions": {"python": sys.version.split()[0], "tokenizers": tokenizers.__version__},
        "ids": ids,
        "decoded": [tokenizer.decode(one, skip_special_tokens=True) for one in ids],
        "special": [tokenizer.decode(one, skip_special_tokens=False) for one in ids],
    }
    if args.gguf:
        import transformers

        path = Path(args.gguf)
        other = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        equal = sum(other.encode(text, add_special_tokens=False) == one for text, one in zip(strings, ids))
        result["versions"]["transformers"] = transformers.__version__
        result["gguf"] = {"equal": equal, "different": len(strings) - equal}
    Path(args.out).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
