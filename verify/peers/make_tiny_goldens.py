"""Makes tests/golden/model/tiny-llama-{tied,untied}: a random Llama and what plain PyTorch computes with it.

  python verify/peers/make_tiny_goldens.py tests/golden/model

Each folder is a Hugging Face folder (config.json, model.safetensors) with
  datums.json                              4 ragged sequences with weight, advantage and oldLogprob
  expected-outputs.safetensors             logits.<i>, logprobs.<i>, entropy.<i>
  expected-<loss>-gradients.safetensors    for cross_entropy and ppo_clip
  expected-<loss>-weights.safetensors      after 3 AdamW updates (tied: cross_entropy; untied: ppo_clip)
  golden.json                              options, losses, gradient norms and versions
The untied model uses Llama 3.1's rotary scaling, so that both variants are covered.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import reference_llama as reference

SHAPE = {"vocab": 48, "hidden": 32, "layers": 2, "heads": 2, "kv_heads": 1, "mlp": 48}
# eps 1e-8 and three updates are what the fidelity check asks for; the clip norm is small enough to act.
OPTIONS = {
    "steps": 3, "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1, "clip_grad_norm": 1.0,
    "clip_low": 0.2, "clip_high": 0.28, "temperature": 1.0,
}


def make_config(tied):
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "torch_dtype": "float32",
        "vocab_size": SHAPE["vocab"], "hidden_size": SHAPE["hidden"], "intermediate_size": SHAPE["mlp"],
        "num_hidden_layers": SHAPE["layers"], "num_attention_heads": SHAPE["heads"],
        "num_key_value_heads": SHAPE["kv_heads"], "head_dim": SHAPE["hidden"] // SHAPE["heads"],
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "rope_scaling": None if tied else scaling, "tie_word_embeddings": tied,
        "bos_token_id": 1, "eos_token_id": 2, "attention_bias": False, "mlp_bias": False,
    }


def make_weights(config, rng):
    """Large enough (std 0.25) that attention is far from uniform and every path matters."""
    H, M, V, D = config["hidden_size"], config["intermediate_size"], config["vocab_size"], config["head_dim"]
    Q, KV = config["num_attention_heads"] * D, config["num_key_value_heads"] * D
    shapes = {"model.embed_tokens": (V, H), "model.norm": (H,)}
    for i in range(config["num_hidden_layers"]):
        shapes.update({
            f"model.layers.{i}.input_layernorm": (H,), f"model.layers.{i}.post_attention_layernorm": (H,),
            f"model.layers.{i}.self_attn.q_proj": (Q, H), f"model.layers.{i}.self_attn.k_proj": (KV, H),
            f"model.layers.{i}.self_attn.v_proj": (KV, H), f"model.layers.{i}.self_attn.o_proj": (H, Q),
            f"model.layers.{i}.mlp.gate_proj": (M, H), f"model.layers.{i}.mlp.up_proj": (M, H),
            f"model.layers.{i}.mlp.down_proj": (H, M),
        })
    if not config["tie_word_embeddings"]:
        shapes["lm_head"] = (V, H)
    weights = {}
    for name, shape in shapes.items():
        values = rng.normal(0, 0.25, shape) + (1 if len(shape) == 1 else 0)
        weights[f"{name}.weight"] = torch.tensor(values.astype(np.float32))
    return weights


def make_datums(config, weights, rng):
    """Old logprobs are the model's own with noise, so that some ratios lie beyond the clip and some within."""
    datums = []
    for length in (5, 9, 14, 23):
        tokens = rng.integers(3, config["vocab_size"], length + 1).tolist()
        prompt = length // 3
        scale = float(rng.uniform(0.02, 0.1))
        weight = [0.0] * prompt + [scale] * (length - prompt)
        datum = {"input": tokens[:-1], "target": tokens[1:]}
        with torch.no_grad():
            logp = reference.token_logprobs(reference.forward(config, weights, datum["input"]), datum["target"])
        old = logp.numpy() + rng.normal(0, 0.3, length)
        advantage = [float(rng.normal())] * length
        as_float32 = lambda values: [float(np.float32(v)) for v in values]
        datum["vectors"] = {
            "weight": as_float32(weight), "advantage": as_float32(advantage), "oldLogprob": as_float32(old),
        }
        datums.append(datum)
    return datums


def make_golden(folder, tied, seed):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    config = make_config(tied)
    weights = make_weights(config, rng)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    datums = make_datums(config, weights, rng)
    (folder / "datums.json").write_text(json.dumps(datums) + "\n")
    save_file(reference.outputs(config, weights, datums), folder / "expected-outputs.safetensors")
    losses = {}
    for loss in ("cross_entropy", "ppo_clip"):
        gradients, after, losses[loss] = reference.train(config, weights, datums, loss, OPTIONS)
        save_file(gradients, folder / f"expected-{loss}-gradients.safetensors")
        if (loss == "cross_entropy") == tied:
            save_file(after, folder / f"expected-{loss}-weights.safetensors")
    worst = reference.check_transformers(folder, config, weights, datums)
    if not worst <= 1e-5:
        raise SystemExit(f"{folder}: logits differ from transformers by {worst}")
    import transformers

    golden = {
        "made_by": "verify/peers/make_tiny_goldens.py", "seed": seed, "options": OPTIONS, "updates": losses,
        "versions": {**reference.versions(), "numpy": np.__version__, "transformers": transformers.__version__},
        "transformersMaxLogitDifference": worst,
    }
    (folder / "golden.json").write_text(json.dumps(golden, indent=2) + "\n")
    print(folder, "max difference to transformers", worst, losses)


if __name__ == "__main__":
    torch.set_num_threads(1)
    root = Path(sys.argv[1])
    make_golden(root / "tiny-llama-tied", True, 1)
    make_golden(root / "tiny-llama-untied", False, 2)
