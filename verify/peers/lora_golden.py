"""What PEFT computes with a LoRA adapter, to hold hone's adapters against.

  python lora_golden.py make OUT [--family NAME] [--rank 4] [--alpha 8] [--rslora] [--targets q_proj,v_proj | all-linear]
                                 [--dtype f32]
      makes a tiny random model (default: an untied Llama with Llama 3.1's rotary scaling; NAME: one of families.py) and
      an adapter with a B that is not zero:
        OUT/model/                config.json and model.safetensors (float32)
        OUT/adapter/              as PeftModel.save_pretrained writes it
        OUT/datums.json           ragged sequences {input, target, vectors: {weight}}
        OUT/expected.safetensors  see `logits`, and gradient.<module>.lora_A|lora_B
        OUT/summary.json          loss, options, versions

  python lora_golden.py logits MODEL ADAPTER DATUMS.json OUT
      loads any adapter with PeftModel.from_pretrained and writes
        OUT/expected.safetensors  unmerged.<i> and merged.<i> [T, V] for every sequence, and the gradients of the loss
        OUT/summary.json

  python lora_golden.py all JOBS.json
      does each of a list of argument lists, such as [["make", "OUT"], ...], in one process.

The loss is the sum of -weight * logprob over all tokens of all sequences, as in hone. float32, CPU.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors.torch import save_file

import families
from make_tiny_goldens import make_config, make_weights

PREFIX, SUFFIX = "base_model.model.", ".default.weight"


def make_model(folder, family, seed, rng):
    folder.mkdir(parents=True)
    if family:
        model = families.make_model(*families.FAMILIES[family], torch.Generator().manual_seed(seed))
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        return model.config.to_dict()
    config = make_config(tied=False)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    save_file(make_weights(config, rng), folder / "model.safetensors", metadata={"format": "pt"})
    return config


def make_datums(config, rng):
    datums = []
    for length in (5, 9, 14):
        tokens = rng.integers(3, config["vocab_size"], length + 1).tolist()
        weight = [0.0] * (length // 3) + rng.uniform(0.02, 0.1, length - length // 3).tolist()
        datums.append({"input": tokens[:-1], "target": tokens[1:], "vectors": {"weight": weight}})
    return datums


def base_model(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def make_adapter(folder, model_folder, options, rng):
    """Both factors are drawn, so that every gradient is exercised; saved in the dtype asked for."""
    targets = options.targets if options.targets == "all-linear" else options.targets.split(",")
    config = peft.LoraConfig(
        r=options.rank, lora_alpha=options.alpha, use_rslora=options.rslora, target_modules=targets,
        lora_dropout=0.0, task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(base_model(model_folder), config)
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[options.dtype]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data = torch.tensor(rng.normal(0, 0.1, parameter.shape).astype(np.float32)).to(dtype)
    # Neither the machine's path nor PEFT's model card belongs in a golden file.
    model.peft_config["default"].base_model_name_or_path = "model"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def evaluate(model_folder, adapter_folder, datums, out):
    model = peft.PeftModel.from_pretrained(base_model(model_folder), adapter_folder, is_trainable=True).float()
    loss = torch.zeros(())
    tensors = {}
    for i, datum in enumerate(datums):
        logits = model(torch.tensor([datum["input"]])).logits[0]
        tensors[f"unmerged.{i}"] = logits.detach()
        logprobs = torch.log_softmax(logits, -1).gather(1, torch.tensor(datum["target"])[:, None])[:, 0]
        loss = loss - (torch.tensor(datum["vectors"]["weight"]) * logprobs).sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            tensors["gradient." + name.removeprefix(PREFIX).removesuffix(SUFFIX)] = parameter.grad
    merged = model.merge_and_unload()
    with torch.no_grad():
        for i, datum in enumerate(datums):
            tensors[f"merged.{i}"] = merged(torch.tensor([datum["input"]])).logits[0]
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "expected.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    summary = {"loss": loss.item(), "versions": versions}
    (out / "summary.json").write_text(json.dumps(summary, indent=2))


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make")
    make.add_argument("out", type=Path)
    make.add_argument("--family", choices=families.FAMILIES)
    make.add_argument("--rank", type=int, default=4)
    make.add_argument("--alpha", type=float, default=8)
    make.add_argument("--rslora", action="store_true")
    make.add_argument("--targets", default="all-linear")
    make.add_argument("--dtype", choices=["f32", "f16", "bf16"], default="f32")
    make.add_argument("--seed", type=int, default=0)
    logits = commands.add_parser("logits")
    for name in ("model", "adapter", "datums", "out"):
        logits.add_argument(name, type=Path)
    commands.add_parser("all").add_argument("jobs", type=Path)
    return parser.parse_args(argv)


def run(options):
    if options.command == "all":
        for argv in json.loads(options.jobs.read_text()):
            run(arguments(argv))
    elif options.command == "logits":
        options.out.mkdir(parents=True, exist_ok=True)
        evaluate(options.model, options.adapter, json.loads(options.datums.read_text()), options.out)
    else:
        rng = np.random.default_rng(options.seed)
        config = make_model(options.out / "model", options.family, options.seed, rng)
        datums = make_datums(config, rng)
        (options.out / "datums.json").write_text(json.dumps(datums))
        make_adapter(options.out / "adapter", options.out / "model", options, rng)
        evaluate(options.out / "model", options.out / "adapter", datums, options.out)


torch.set_num_threads(1)
run(arguments())
