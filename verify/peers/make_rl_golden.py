"""Golden numbers for the pure parts of src/rl, from plain PyTorch with autograd.

    python verify/peers/make_rl_golden.py > tests/golden/rl.json

Written after the papers' formulas (DAPO Eq. 8, 9 and 13; dual clip, arXiv 1912.09729 Eq. 5), in float64.
"""

import json

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def advantages():
    cases = []
    for rewards in ([1, 0, 0, 1, 0], [-1, -1, 1, -1], [0.5, 0.25, -0.75], [3.0, 3.0, 3.0]):
        reward = torch.tensor(rewards, dtype=torch.float64)
        centred = reward - reward.mean()
        cases.append(
            {
                "rewards": rewards,
                "sample": (centred / (torch.std(reward) + 1e-6)).tolist(),
                "none": centred.tolist(),
            }
        )
    return cases


def surrogate(low, high, dual, beta):
    """A batch of two sequences; the loss is a token mean, with its gradient by autograd."""
    lengths = [5, 8]
    logprobs = [torch.randn(n).sub(2).requires_grad_() for n in lengths]
    entropy = [torch.rand(n).requires_grad_() for n in lengths]
    old = [(x + 0.6 * torch.randn_like(x)).detach() for x in logprobs]
    advantage = [torch.randn(1).expand(n).clone() for n in lengths]
    if dual is not None:
        # Ratios far above c on a sequence of negative advantage.
        advantage[1] = -advantage[1].abs()
        old[1] = old[1] - 1.5
    loss = 0.0
    for x, h, o, a in zip(logprobs, entropy, old, advantage):
        ratio = torch.exp(x - o)
        token = torch.maximum(-a * ratio, -a * torch.clamp(ratio, 1 - low, 1 + high))
        if dual is not None:
            token = torch.where(a < 0, torch.minimum(token, -a * dual), token)
        loss = loss + (token - beta * h).sum()
    loss = loss / sum(lengths)
    loss.backward()
    rows = lambda tensors: [t.detach().tolist() for t in tensors]
    return {
        "options": {"clipLow": low, "clipHigh": high, "dualClip": dual, "entropyBonus": beta},
        "logprobs": rows(logprobs),
        "entropy": rows(entropy),
        "oldLogprobs": rows(old),
        "advantages": rows(advantage),
        "loss": loss.item(),
        "dLogprobs": rows([x.grad for x in logprobs]),
        "dEntropy": rows([torch.zeros_like(h) if h.grad is None else h.grad for h in entropy]),
    }


def adamw():
    weight = torch.nn.Parameter(torch.randn(6))
    start = weight.detach().tolist()
    optimizer = torch.optim.AdamW([weight], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    steps = []
    for _ in range(3):
        weight.grad = torch.randn(6)
        steps.append({"gradient": weight.grad.tolist()})
        optimizer.step()
        steps[-1]["weight"] = weight.detach().tolist()
    return {"start": start, "steps": steps}


print(
    json.dumps(
        {
            "made_by": f"verify/peers/make_rl_golden.py, torch {torch.__version__}",
            "advantages": advantages(),
            "surrogates": [
                surrogate(0.2, 0.2, None, 0.0),
                surrogate(0.2, 0.28, None, 0.0),
                surrogate(0.2, 0.28, 3.0, 0.0),
                surrogate(0.2, 0.28, None, 0.01),
            ],
            "adamw": adamw(),
        },
        indent=1,
    )
)
