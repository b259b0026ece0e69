"""One iteration of TRL's GRPOTrainer after another, to hold hone's iteration against: sampling, rewards, update, on CPU.

Reads one line, any text, for each iteration wanted and answers it with {"seconds", "tokens"} (tokens: of the responses);
the first answer is {"version"}.

Its fast settings: one generation of all responses with a key-value cache, no KL and so no reference model, one update on
each batch (num_iterations 1), no gradient checkpointing, SDPA attention, nothing logged or saved. Without --ends responses
have the full length: there is no end token to draw.
"""

import argparse
import json
import os
import sys
import tempfile
import time

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import datasets
import torch
import transformers
import trl
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

MANY_STEPS = 1_000_000


generated = []  # tokens of the newest batch of responses, which the trainer hands to the reward


def reward(completions, completion_ids, **_):
    """Share of letters from the first half of the lower-case alphabet, as in the benchmark's task."""
    generated.append(sum(map(len, completion_ids)))
    return [sum("a" <= letter <= "m" for letter in text) / max(1, len(text)) for text in completions]


class OnRequest(TrainerCallback):
    """Holds the trainer between two updates until the next line is read; times what lies between."""

    def __init__(self, out):
        self.out, self.started = out, 0.0

    def say(self, **answer):
        print(json.dumps(answer), file=self.out, flush=True)

    def wait(self, control):
        control.should_training_stop = sys.stdin.readline() == ""
        self.started = time.perf_counter()

    def on_train_begin(self, args, state, control, **_):
        versions = ("TRL", trl), ("transformers", transformers), ("PyTorch", torch)
        self.say(version=", ".join(f"{name} {module.__version__}" for name, module in versions))
        self.wait(control)

    def on_step_end(self, args, state, control, **_):
        self.say(seconds=time.perf_counter() - self.started, tokens=generated.pop())
        self.wait(control)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="folder with config.json, weights and tokenizer")
    parser.add_argument("--prompts", required=True, help="JSON file: a list of texts")
    parser.add_argument("--group", type=int, required=True)
    parser.add_argument("--new-tokens", type=int, required=True)
    parser.add_argument("--micro-batch", type=int, required=True, help="responses in one forward and backward pass")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--ends", action="store_true", help="responses end where the model draws the end token")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    torch.set_num_threads(options.threads)
    with open(options.prompts) as file:
        prompts = json.load(file)
    responses = len(prompts) * options.group
    splits = responses // options.micro_batch
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        bf16=options.dtype == "bfloat16",
        max_steps=MANY_STEPS,
        learning_rate=options.lr,
        lr_scheduler_type="constant",
        weight_decay=0.01,
        per_device_train_batch_size=options.micro_batch,
        gradient_accumulation_steps=splits,
        steps_per_generation=splits,
        num_generations=options.group,
        max_completion_length=options.new_tokens,
        num_iterations=1,
        beta=0.0,
        loss_type="grpo",
        temperature=1.0,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa"),
        processing_class=AutoTokenizer.from_pretrained(options.model),
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict({"prompt": prompts}),
        callbacks=[OnRequest(out)],
    )
    if not options.ends:
        # No end token: generate() would fill one in from the model's own settings.
        for settings in trainer.generation_config, trainer.model.generation_config, trainer.model.config:
            settings.eos_token_id = None
        trainer.eos_token_ids = [-1]
    trainer.train()


main()
