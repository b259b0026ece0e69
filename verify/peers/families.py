"""Tiny random checkpoints of every family hone computes, made and run by transformers, in float32.

  python families.py OUT --seed 1 [--only NAME ...]

OUT/<name> is a Hugging Face folder (config.json, model.safetensors) with
  expected.json           prompts and their greedy continuations of 64 tokens; datums {input, target, weight};
                          the loss of an SFT step, sum(-weight * logp); versions
  expected.safetensors    logits.<i> [T, V] of datum i, and grad.<tensor> of that loss
Every vector (biases, gains) is drawn too, so that one left out or added twice shows.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

VOCAB = 60
LENGTHS = (4, 9, 16, 17, 33)
PROMPTS = (1, 7, 13, 24)
CONTINUATION = 64
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def plain(theta):
    return {"rope_type": "default", "rope_theta": theta}


# Name -> (configuration class, what differs from BASE).
BASE = {
    "vocab_size": VOCAB, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": None, "pad_token_id": None, "rope_parameters": plain(10000.0),
}
FAMILIES = {
    "llama3": (transformers.LlamaConfig, {"rope_parameters": LLAMA3}),
    "llama-biases": (transformers.LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "smollm2": (transformers.LlamaConfig, {"tie_word_embeddings": True, "rope_parameters": plain(100000.0)}),
    "qwen2": (transformers.Qwen2Config, {"rope_parameters": plain(1000000.0), "rms_norm_eps": 1e-6}),
    "qwen2.5-tied": (
        transformers.Qwen2Config,
        {"tie_word_embeddings": True, "num_key_value_heads": 3, "rope_parameters": plain(1000000.0)},
    ),
    "qwen3": (
        transformers.Qwen3Config,
        {
            "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "rope_parameters": plain(1000000.0), "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
        },
    ),
    "qwen3-biases": (transformers.Qwen3Config, {"head_dim": 32, "attention_bias": True}),
    "smollm3": (
        transformers.SmolLM3Config,
        {
            "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 4, "tie_word_embeddings": True,
            "rope_parameters": plain(5000000.0),
        },
    ),
    "smollm3-listed": (
        transformers.SmolLM3Config,
        {"no_rope_layers": [0, 1, 1], "num_hidden_layers": 3, "attention_bias": True, "rope_parameters": LLAMA3},
    ),
}


def make_model(config_class, changes, generator):
    """Matrices of standard deviation 0.25, so that attention is far from uniform; vectors of 0.2 around 0 or 1."""
    config = config_class(**{**BASE, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(0.25 * draw)
            else:
                parameter.copy_(0.2 * draw + (0 if name.endswith("bias") else 1))
    return model


def draw_tokens(count, generator):
    return torch.randint(0, VOCAB, (count,), generator=generator).tolist()


def draw_datum(length, generator):
    tokens = draw_tokens(length + 1, generator)
    weight = [0.0] * (length // 3) + [1 / 64] * (length - length // 3)
    return {"input": tokens[:-1], "target": tokens[1:], "weight": weight}


def sft_step(model, datums):
    """Logits of every datum, and the gradients of the summed loss."""
    logits, loss = {}, 0.0
    model.zero_grad()
    for i, datum in enumerate(datums):
        row = model(torch.tensor([datum["input"]]), use_cache=False).logits[0]
        logits[f"logits.{i}"] = row.detach().contiguous()
        logp = row.log_softmax(-1).gather(1, torch.tensor(datum["target"])[:, None])[:, 0]
        value = (-torch.tensor(datum["weight"]) * logp).sum()
        value.backward()
        loss += value.item()
    gradients = {f"grad.{name}": p.grad.clone() for name, p in model.named_parameters()}
    return {**logits, **gradients}, loss


def greedy(model, prompt):
    """Argmax continuation, every step over the whole sequence: no cache can be at fault."""
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(CONTINUATION):
            tokens.append(int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt):]


def make_family(folder, config_class, changes, seed):
    generator = torch.Generator().manual_seed(seed)
    model = make_model(config_class, changes, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    datums = [draw_datum(length, generator) for length in LENGTHS]
    prompts = [draw_tokens(length, generator) for length in PROMPTS]
    tensors, loss = sft_step(model, datums)
    save_file(tensors, folder / "expected.safetensors")
    expected = {
        "made_by": "verify/peers/families.py", "seed": seed, "datums": datums, "loss": loss, "prompts": prompts,
        "greedy": [greedy(model, prompt) for prompt in prompts],
        "versions": {
            "python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__,
        },
    }
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name in args.only:
        folder = Path(args.out) / name
        folder.mkdir(parents=True, exist_ok=True)
        make_family(folder, *FAMILIES[name], args.seed)


if __name__ == "__main__":
    main()
