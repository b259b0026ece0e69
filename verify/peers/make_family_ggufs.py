"""GGUF files of the golden family checkpoints, as llama.cpp's converter writes them, in float32.

  python make_family_ggufs.py tests/golden/model/families

For every folder FAMILY of the root that verify/peers/families.py made, writes FAMILY.gguf beside it. Tensor names are
those of gguf-py's name map; queries and keys of Llama and SmolLM3 are interleaved as LlamaModel.permute of
convert_hf_to_gguf.py does it. Where transformers reads the architecture from GGUF, its logits of the file have to
equal those of the folder, or the script fails.
"""

import json
import sys
from pathlib import Path

import gguf
import torch
import transformers
from safetensors.numpy import load_file

# llama.cpp's way of splitting text per architecture.
PRE = {"llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2", "smollm3": "smaug-bpe"}
PERMUTED = ("llama", "smollm3")
READ_BY_TRANSFORMERS = ("llama", "qwen2", "qwen3")


def permute(values, heads):
    """Rows of each head: i and i + half become neighbours."""
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def convert(name, values, config):
    if config["model_type"] in PERMUTED:
        if ".q_proj." in name:
            return permute(values, config["num_attention_heads"])
        if ".k_proj." in name:
            return permute(values, config["num_key_value_heads"])
    return values


def add_metadata(writer, config):
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    if config.get("head_dim"):
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if config["model_type"] in PERMUTED:
        writer.add_rope_dimension_count(head_dim)
        writer.add_vocab_size(config["vocab_size"])


def add_tokenizer(writer, config):
    """A small byte-level vocabulary, filled up to the embedding's rows as the converter does."""
    tokens = ["<|endoftext|>", "<|im_end|>", *map(chr, range(ord("a"), ord("z") + 1)), *"0123456789", "Ġ", "Ċ", "th", "12"]
    types = [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(tokens) - 2)
    unused = range(len(tokens), config["vocab_size"])
    tokens += [f"[PAD{i}]" for i in unused]
    types += [gguf.TokenType.UNUSED] * len(unused)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE[config["model_type"]])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h", "1 2"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)


def write_file(folder, config):
    path = folder.with_suffix(".gguf")
    writer = gguf.GGUFWriter(path, config["model_type"])
    add_metadata(writer, config)
    add_tokenizer(writer, config)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == config["model_type"])
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    for name, values in load_file(folder / "model.safetensors").items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), convert(name, values, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(folder, **options):
    """The configuration comes from the folder in any case: transformers' reader leaves out biases and head sizes."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    with torch.no_grad():
        return model(torch.arange(1, 40)[None]).logits


def main():
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        config = json.loads((folder / "config.json").read_text())
        path = write_file(folder, config)
        note = "not read by transformers"
        if config["model_type"] in READ_BY_TRANSFORMERS:
            shape = transformers.AutoConfig.from_pretrained(folder)
            ours = logits(path.parent, gguf_file=path.name, config=shape)
            worst = (ours - logits(folder)).abs().max().item()
            if not worst <= 1e-5:
                raise SystemExit(f"{path}: transformers' logits are {worst} from the folder's")
            note = f"transformers reads it, logits within {worst} of the folder's"
        print(f"{path.name}: {note}")


if __name__ == "__main__":
    main()
