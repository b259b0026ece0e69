"""Trains tiny tokenizers, one per kind hone reads, and writes what Python's tokenizers makes of a list of strings.

  python make_tiny_tokenizers.py STRINGS.json OUT_DIR

Writes OUT_DIR/<kind>/tokenizer.json and OUT_DIR/golden.json: {versions, kinds: {kind: [digest, ...]}} with the
digest of tokenizer_ids.py per string.
"""

import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_ids import digest

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level(pre_tokenizer, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer, {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}


def split_then_bytes(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece(metaspace):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    replace = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(replace)
    return tokenizer, {"limit_alphabet": 120}


def kinds():
    digits = pre_tokenizers.Digits(individual_digits=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return {
        "gpt2": byte_level(plain),
        "smollm": byte_level(pre_tokenizers.Sequence([digits, plain])),
        "llama3": byte_level(split_then_bytes(LLAMA3), ignore_merges=True),
        "qwen2": byte_level(split_then_bytes(QWEN2), normalizers.NFC()),
        "sentencepiece": sentencepiece(False),
        "metaspace": sentencepiece(True),
    }


def train(kind, tokenizer, options, strings):
    fallback = tokenizer.model.byte_fallback
    first = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))] if fallback else SPECIAL
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=first, show_progress=False, **options)
    tokenizer.train_from_iterator(strings, trainer)
    if fallback:
        # The byte tokens are plain vocabulary, not special: only <unk> and the chat tokens are.
        state = json.loads(tokenizer.to_str())
        state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] == "<unk>"]
        tokenizer = Tokenizer.from_str(json.dumps(state))
        tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([AddedToken("<repo_name>", normalized=False), AddedToken("<｜工具｜>", normalized=False)])
    if kind == "llama3":
        bos = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
        tokenizer.post_processor = processors.TemplateProcessing("<|endoftext|> $A", None, [bos])
    return tokenizer


def main():
    strings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    golden = {
        "made_by": "verify/peers/make_tiny_tokenizers.py",
        "versions": {"python": sys.version.split()[0], "tokenizers": tokenizers.__version__},
        "kinds": {},
    }
    for kind, (tokenizer, options) in kinds().items():
        tokenizer = train(kind, tokenizer, options, strings)
        (out / kind).mkdir(exist_ok=True)
        (out / kind / "tokenizer.json").write_text(tokenizer.to_str() + "\n", encoding="utf-8")
        golden["kinds"][kind] = [digest(tokenizer, text) for text in strings]
    (out / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
