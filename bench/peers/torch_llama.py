"""A Llama in plain PyTorch, to hold hone's speed against: SDPA, a static KV cache, no needless copies, float32 on CPU.

Reads one JSON request a line, answers each with one line {"seconds", "tokens"}; the first answer is {"version"}.

  {"do": "train", "config": {...}, "B": 8, "T": 128}                     forward, cross-entropy, backward; gradients add up
  {"do": "sample", "config": {...}, "B": 64, "prompt": 16, "length": 256}    prefill, then categorical draws to `length`

config is a Hugging Face config.json of a Llama; models are made once, with random weights, and kept.
"""

import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, self.heads, self.kv_heads = (
            config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"],
        )
        self.dim = hidden // self.heads
        self.q = nn.Linear(hidden, self.heads * self.dim, bias=False)
        self.k = nn.Linear(hidden, self.kv_heads * self.dim, bias=False)
        self.v = nn.Linear(hidden, self.kv_heads * self.dim, bias=False)
        self.o = nn.Linear(self.heads * self.dim, hidden, bias=False)

    def forward(self, x, cos, sin, cache, at):
        B, T, _ = x.shape
        q = rotate(self.q(x).view(B, T, self.heads, self.dim).transpose(1, 2), cos, sin)
        k = rotate(self.k(x).view(B, T, self.kv_heads, self.dim).transpose(1, 2), cos, sin)
        v = self.v(x).view(B, T, self.kv_heads, self.dim).transpose(1, 2)
        if cache is not None:
            keys, values = cache
            keys[:, :, at:at + T], values[:, :, at:at + T] = k, v
        if cache is None or at == 0:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        else:
            # One new token: the queries of a group are rows that all see every key so far.
            rows = q.reshape(B, self.kv_heads, self.heads // self.kv_heads, self.dim)
            y = F.scaled_dot_product_attention(rows, keys[:, :, :at + 1], values[:, :, :at + 1])
            y = y.reshape(B, self.heads, 1, self.dim)
        return self.o(y.transpose(1, 2).reshape(B, T, -1))


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, mlp = config["hidden_size"], config["intermediate_size"]
        self.before_attention = nn.RMSNorm(hidden, config["rms_norm_eps"])
        self.before_mlp = nn.RMSNorm(hidden, config["rms_norm_eps"])
        self.attention = Attention(config)
        self.gate = nn.Linear(hidden, mlp, bias=False)
        self.up = nn.Linear(hidden, mlp, bias=False)
        self.down = nn.Linear(mlp, hidden, bias=False)

    def forward(self, x, cos, sin, cache, at):
        x = x + self.attention(self.before_attention(x), cos, sin, cache, at)
        h = self.before_mlp(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    """Tied embeddings, as the benchmark's models have them."""

    def __init__(self, config, longest):
        super().__init__()
        hidden = config["hidden_size"]
        self.config = config
        self.embedding = nn.Embedding(config["vocab_size"], hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = nn.RMSNorm(hidden, config["rms_norm_eps"])
        half = hidden // config["num_attention_heads"] // 2
        angle = torch.outer(torch.arange(longest), config["rope_theta"] ** (-torch.arange(half) / half))
        self.cos, self.sin = angle.cos(), angle.sin()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def hidden(self, ids, caches=None, at=0):
        T = ids.shape[1]
        x = self.embedding(ids)
        for i, layer in enumerate(self.layers):
            x = layer(x, self.cos[at:at + T], self.sin[at:at + T], caches and caches[i], at)
        return self.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.embedding.weight)


def train(model, B, T):
    vocab = model.config["vocab_size"]
    ids = torch.randint(2, vocab, (B, T + 1))
    start = time.perf_counter()
    logits = model.logits(model.hidden(ids[:, :-1]))
    F.cross_entropy(logits.view(-1, vocab), ids[:, 1:].reshape(-1)).backward()
    return time.perf_counter() - start, B * T


@torch.inference_mode()
def sample(model, B, prompt, length):
    config = model.config
    dim = config["hidden_size"] // config["num_attention_heads"]
    ids = torch.randint(2, config["vocab_size"], (B, prompt))
    start = time.perf_counter()
    shape = (B, config["num_key_value_heads"], length, dim)
    caches = [(torch.empty(shape), torch.empty(shape)) for _ in model.layers]
    hidden = model.hidden(ids, caches)[:, -1]
    for at in range(prompt, length):
        ids = torch.multinomial(F.softmax(model.logits(hidden), -1), 1)
        if at + 1 < length:
            hidden = model.hidden(ids, caches, at)[:, -1]
    return time.perf_counter() - start, B * (length - prompt)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    models = {}
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps(request["config"], sort_keys=True)
        if key not in models:
            models[key] = Llama(request["config"], request["config"]["max_position_embeddings"])
        if request["do"] == "train":
            seconds, tokens = train(models[key], request["B"], request["T"])
        else:
            seconds, tokens = sample(models[key], request["B"], request["prompt"], request["length"])
        print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


main()
