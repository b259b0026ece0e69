"""A Llama decoder in plain PyTorch, fp32, to hold hone's engine against.

It shares nothing with transformers: weights come from a Hugging Face folder through safetensors, sequences run one
at a time without padding, and attention is written out. From a folder and a JSON list of datums
{input, target, vectors} it writes into --out:

  outputs.safetensors    logits.<i> [T, V], logprobs.<i> [T] and entropy.<i> [T] of every datum at the initial weights
  gradients.safetensors  d loss / d weight by Hugging Face name at the initial weights
  weights.safetensors    the weights after --steps AdamW updates on the same datums
  summary.json           loss and gradient norm (before clipping) of every update, options, versions

Losses are sums over tokens, as in hone: cross_entropy = sum(-weight * logp);
ppo_clip = sum(-weight * min(r * A, clip(r, 1 - low, 1 + high) * A)) with r = exp(logp - oldLogprob).
AdamW applies weight decay to tensors of two dimensions only.

  python reference_llama.py FOLDER DATUMS.json --out DIR --loss ppo_clip --clip-low 0.2 --clip-high 0.28 \
      --lr 1e-3 --steps 3 --weight-decay 0.1 --clip-grad-norm 1.0 [--temperature 1] [--check-transformers]
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

torch.set_default_dtype(torch.float32)


def load_folder(folder):
    """Config dict and weights by name, fp32; shards are merged."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists():
        files = ["model.safetensors"]
    else:
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    weights = {}
    for file in files:
        weights.update(load_file(folder / file))
    return config, {name: tensor.float() for name, tensor in sorted(weights.items())}


def rope_settings(config):
    """(theta, scaling dict or None); transformers 5 keeps both in rope_parameters."""
    parameters = config.get("rope_parameters") or {}
    scaling = parameters or config.get("rope_scaling") or {}
    theta = parameters.get("rope_theta") or config.get("rope_theta") or 10000.0
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind not in ("default", "llama3"):
        raise ValueError(f"unknown rope type {kind}")
    return theta, scaling if kind == "llama3" else None


def inverse_frequencies(theta, head_dim, scaling):
    """Angles per position, [head_dim / 2]. Llama 3.1 stretches the slow ones and blends in between."""
    freq = 1.0 / (theta ** (torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim))
    if scaling is None:
        return freq
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    wavelength = 2 * math.pi / freq
    blend = ((original / wavelength - low) / (high - low)).clamp(0, 1)
    return blend * freq + (1 - blend) * freq / scaling["factor"]


def rms_norm(x, gain, eps):
    return gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def rotate(x, cos, sin):
    """x [heads, T, D] turned by position; the halves of D are the two coordinates of each pair."""
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


def forward(config, w, tokens):
    """Logits [T, V] of one sequence."""
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    eps = config["rms_norm_eps"]
    T = len(tokens)
    theta, scaling = rope_settings(config)
    angle = torch.arange(T).float()[:, None] * inverse_frequencies(theta, head_dim, scaling)[None, :]
    cos, sin = angle.cos(), angle.sin()
    causal = torch.full((T, T), float("-inf")).triu(1)

    x = w["model.embed_tokens.weight"][torch.as_tensor(tokens)]
    for i in range(config["num_hidden_layers"]):
        at = lambda name: w[f"model.layers.{i}.{name}.weight"]
        h = rms_norm(x, at("input_layernorm"), eps)
        q = (h @ at("self_attn.q_proj").T).view(T, heads, head_dim).transpose(0, 1)
        k = (h @ at("self_attn.k_proj").T).view(T, kv_heads, head_dim).transpose(0, 1)
        v = (h @ at("self_attn.v_proj").T).view(T, kv_heads, head_dim).transpose(0, 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k = k.repeat_interleave(heads // kv_heads, dim=0)
        v = v.repeat_interleave(heads // kv_heads, dim=0)
        p = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(head_dim) + causal, dim=-1)
        x = x + (p @ v).transpose(0, 1).reshape(T, heads * head_dim) @ at("self_attn.o_proj").T
        h = rms_norm(x, at("post_attention_layernorm"), eps)
        gate = torch.nn.functional.silu(h @ at("mlp.gate_proj").T)
        x = x + (gate * (h @ at("mlp.up_proj").T)) @ at("mlp.down_proj").T
    x = rms_norm(x, w["model.norm.weight"], eps)
    head = w["model.embed_tokens.weight"] if config.get("tie_word_embeddings") else w["lm_head.weight"]
    return x @ head.T


def token_logprobs(logits, target, temperature=1.0):
    logp = torch.log_softmax(logits / temperature, dim=-1)
    return logp.gather(1, torch.as_tensor(target)[:, None])[:, 0]


def token_entropy(logits, temperature=1.0):
    logp = torch.log_softmax(logits / temperature, dim=-1)
    return -(logp.exp() * logp).sum(-1)


def loss_of(name, logp, vectors, options):
    """Loss of one datum, a sum over its tokens."""
    weight = torch.tensor(vectors["weight"])
    if name == "cross_entropy":
        return (-weight * logp).sum()
    if name == "ppo_clip":
        A = torch.tensor(vectors["advantage"])
        r = torch.exp(logp - torch.tensor(vectors["oldLogprob"]))
        clipped = r.clamp(1 - options["clip_low"], 1 + options["clip_high"])
        return (-weight * torch.minimum(r * A, clipped * A)).sum()
    raise ValueError(f"unknown loss {name}")


def outputs(config, weights, datums, temperature=1.0):
    """Logits, logprobs and entropy of every datum at the given weights."""
    result = {}
    with torch.no_grad():
        for i, datum in enumerate(datums):
            logits = forward(config, weights, datum["input"])
            result[f"logits.{i}"] = logits.contiguous()
            result[f"logprobs.{i}"] = token_logprobs(logits, datum["target"], temperature)
            result[f"entropy.{i}"] = token_entropy(logits, temperature)
    return result


def backward(config, parameters, datums, loss, options):
    """Loss summed over the datums; gradients land in the parameters' .grad."""
    total = 0.0
    for datum in datums:
        logits = forward(config, parameters, datum["input"])
        value = loss_of(loss, token_logprobs(logits, datum["target"], options["temperature"]), datum["vectors"], options)
        value.backward()
        total += value.item()
    return total


def train(config, weights, datums, loss, options):
    """Gradients at the initial weights, the weights after options['steps'] updates, and a line per update."""
    parameters = {name: tensor.clone().requires_grad_() for name, tensor in sorted(weights.items())}
    matrices = [p for p in parameters.values() if p.dim() >= 2]
    gains = [p for p in parameters.values() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": options["weight_decay"]}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=options["lr"], betas=(options["beta1"], options["beta2"]), eps=options["eps"], foreach=False
    )
    first, lines = {}, []
    for step in range(options["steps"]):
        optimizer.zero_grad()
        value = backward(config, parameters, datums, loss, options)
        if step == 0:
            first = {name: p.grad.clone() for name, p in parameters.items()}
        limit = options["clip_grad_norm"] or math.inf
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), limit).item()
        lines.append({"loss": value, "gradNorm": norm})
        optimizer.step()
    return first, {name: p.detach().clone() for name, p in parameters.items()}, lines


def check_transformers(folder, config, weights, datums):
    """Largest difference of logits against transformers' LlamaForCausalLM."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    worst = 0.0
    with torch.no_grad():
        for datum in datums:
            theirs = model(torch.as_tensor(datum["input"])[None]).logits[0]
            ours = forward(config, weights, datum["input"])
            if not torch.isfinite(ours).all():
                return math.inf
            worst = max(worst, (ours - theirs).abs().max().item())
    return worst


def versions():
    import safetensors

    return {"python": sys.version.split()[0], "torch": torch.__version__, "safetensors": safetensors.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("datums")
    parser.add_argument("--out", required=True)
    parser.add_argument("--loss", choices=["cross_entropy", "ppo_clip"], default="cross_entropy")
    parser.add_argument("--clip-low", type=float, default=0.2)
    parser.add_argument("--clip-high", type=float, default=0.2)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=3, help="AdamW updates; 0: outputs only")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--beta1", type=float, default=0.9)
    parser.add_argument("--beta2", type=float, default=0.999)
    parser.add_argument("--eps", type=float, default=1e-8)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--clip-grad-norm", type=float, default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check-transformers", action="store_true", help="fail unless logits agree with transformers'")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of logits that agrees")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    config, weights = load_folder(args.folder)
    datums = json.loads(Path(args.datums).read_text())
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    options = {key: value for key, value in vars(args).items() if key not in ("folder", "datums", "out")}
    summary = {"options": options, "versions": versions()}
    save_file(outputs(config, weights, datums, args.temperature), out / "outputs.safetensors")
    if args.steps > 0:
        gradients, after, summary["updates"] = train(config, weights, datums, args.loss, options)
        save_file(gradients, out / "gradients.safetensors")
        save_file(after, out / "weights.safetensors")
    if args.check_transformers:
        worst = check_transformers(args.folder, config, weights, datums)
        summary["transformersMaxDifference"] = worst
        if not worst <= args.tolerance:
            raise SystemExit(f"logits differ from transformers by {worst}")
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
