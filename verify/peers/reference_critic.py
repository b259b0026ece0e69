"""A critic in transformers (LlamaForTokenClassification with one label), trained by autograd on the clipped value loss.

  python verify/peers/reference_critic.py FOLDER DATUMS --out OUT [--steps 3]    reads a critic that hone exported
  python verify/peers/reference_critic.py --make tests/golden/model              makes tests/golden/model/tiny-critic

OUT gets outputs.safetensors (values.<i>), gradients.safetensors (of the first update), weights.safetensors (after the
updates) and peer.json (losses, gradient norms, versions). Loss: sum_t weight_t max((v - G)^2, (clip(v) - G)^2) / 2 with
G = vectors.return and clip to vectors.oldValue +- 0.2; AdamW decays matrices only.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForTokenClassification, LlamaForTokenClassification

OPTIONS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1, "clip_grad_norm": 1.0, "value_clip": 0.2}


def values_of(model, datum):
    """[T]: the label's logit at every input token, which is the value of the state before its target."""
    return model(input_ids=torch.tensor([datum["input"]]), use_cache=False).logits[0, :, 0]


def loss_of(model, datums):
    total = 0
    for datum in datums:
        v = values_of(model, datum)
        weight, G, old = (torch.tensor(datum["vectors"][name]) for name in ("weight", "return", "oldValue"))
        cut = torch.clamp(v, old - OPTIONS["value_clip"], old + OPTIONS["value_clip"])
        total = total + (weight * torch.maximum((v - G) ** 2, (cut - G) ** 2) / 2).sum()
    return total


def train(model, datums, steps):
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": OPTIONS["weight_decay"]},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=OPTIONS["lr"], betas=(OPTIONS["beta1"], OPTIONS["beta2"]), eps=OPTIONS["eps"])
    gradients, updates = None, []
    for _ in range(steps):
        adamw.zero_grad()
        loss = loss_of(model, datums)
        loss.backward()
        gradients = gradients or {name: p.grad.clone() for name, p in model.named_parameters()}
        norm = torch.nn.utils.clip_grad_norm_(parameters, OPTIONS["clip_grad_norm"])
        updates.append({"loss": loss.item(), "gradNorm": norm.item()})
        adamw.step()
    return gradients, updates


def run(folder, datums, out, steps, prefix=""):
    model, info = AutoModelForTokenClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    odd = {name: list(info[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[name]}
    if odd or model.config.num_labels != 1:
        raise SystemExit(f"{folder}: transformers does not take it as a critic: {odd}, {model.config.num_labels} labels")
    model.eval()
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        save_file({f"values.{i}": values_of(model, d).contiguous() for i, d in enumerate(datums)}, out / f"{prefix}outputs.safetensors")
    gradients, updates = train(model, datums, steps)
    save_file(gradients, out / f"{prefix}gradients.safetensors")
    save_file({name: p.detach().contiguous() for name, p in model.named_parameters()}, out / f"{prefix}weights.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {"class": type(model).__name__, "steps": steps, "options": OPTIONS, "updates": updates, "versions": versions}


def make_golden(root):
    """The body of tiny-llama-untied under a head of its own, written by transformers itself."""
    body, out = root / "tiny-llama-untied", root / "tiny-critic"
    rng = np.random.default_rng(7)
    config = AutoConfig.from_pretrained(body, num_labels=1)
    model = LlamaForTokenClassification(config)
    state = {name: t for name, t in load_file(body / "model.safetensors").items() if name != "lm_head.weight"}
    state["score.weight"] = torch.tensor(rng.normal(0, 0.25, (1, config.hidden_size)).astype(np.float32))
    state["score.bias"] = torch.tensor(rng.normal(0, 0.25, (1,)).astype(np.float32))
    model.load_state_dict(state)
    model.save_pretrained(out)
    datums = json.loads((body / "datums.json").read_text())
    for datum in datums:
        vectors, T = datum["vectors"], len(datum["input"])
        with torch.no_grad():
            v = values_of(model.eval(), datum).numpy()
        as_float32 = lambda values: [float(np.float32(x)) for x in values]
        datum["vectors"] = {
            "weight": vectors["weight"], "return": as_float32(rng.normal(0, 1, T)),
            "oldValue": as_float32(v + rng.normal(0, 0.3, T)),
        }
    (out / "datums.json").write_text(json.dumps(datums) + "\n")
    golden = {"made_by": "verify/peers/reference_critic.py --make", "seed": 7, **run(out, datums, out, 3, "expected-")}
    (out / "golden.json").write_text(json.dumps(golden, indent=2) + "\n")
    print(out, golden)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("datums", nargs="?", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--make", type=Path)
    options = parser.parse_args()
    if options.make:
        make_golden(options.make)
    else:
        result = run(options.folder, json.loads(options.datums.read_text()), options.out, options.steps)
        (options.out / "peer.json").write_text(json.dumps(result, indent=2) + "\n")
