"""What transformers makes of special-token strings under split_special_tokens: tests/golden/model/plain-specials.json.

    python verify/peers/make_plain_specials.py tests/golden/model
"""

import json
import sys
from pathlib import Path

import tokenizers
import transformers

# metaspace and sentencepiece are left out: merges of theirs give the control token itself, which hone refuses.
NAMES = ["smollm", "llama3", "qwen2", "gpt2"]
FORMS = ["{}", "sum {} of", "a\n{}b{}", "the{}\n"]


def main() -> None:
    folder = Path(sys.argv[1])
    cases = {}
    for name in NAMES:
        file = folder / "tiny-tokenizers" / name / "tokenizer.json"
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
        special = [token["content"] for token in json.loads(file.read_text())["added_tokens"] if token["special"]]
        texts = [form.format(*[one] * form.count("{}")) for one in special for form in FORMS]
        cases[name] = [
            [text, tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)] for text in texts
        ]
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    (folder / "plain-specials.json").write_text(json.dumps({"versions": versions, "cases": cases}) + "\n")


main()
