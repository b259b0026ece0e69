"""Renders chat templates with transformers' apply_chat_template.

  python render_templates.py CASES.json OUT.json

CASES.json: [{template, messages, addGenerationPrompt, bos, eos, pad}, ...]. OUT.json: {versions, rendered: [...]}
with a string per case, or null where the template raised an error.
"""

import json
import sys
from pathlib import Path

import jinja2
import tokenizers
import transformers


def render(case):
    # A vocabulary of the special tokens alone: rendering reads nothing else of a tokenizer.
    special = {key: case[name] for key, name in (("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "pad")) if case.get(name)}
    vocab = {token: i for i, token in enumerate(dict.fromkeys(["x", *special.values()]))}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=[]))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    tokenizer.chat_template = case["template"]
    try:
        return tokenizer.apply_chat_template(
            case["messages"], tokenize=False, add_generation_prompt=case["addGenerationPrompt"]
        )
    except (jinja2.exceptions.TemplateError, TypeError, ValueError):
        return None


def main():
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    versions = {
        "python": sys.version.split()[0], "transformers": transformers.__version__, "jinja2": jinja2.__version__,
    }
    result = {"versions": versions, "rendered": [render(case) for case in cases]}
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
