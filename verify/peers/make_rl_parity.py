"""Golden numbers for the parts of src/rl, computed by other people's programs.

    python verify/peers/make_rl_parity.py OUT_FOLDER [PROGRAM ...]

Programs: verl, openrlhf, nemo-rl, trl (default: those found). Each is taken from the Python path, installed or as a source
checkout (PYTHONPATH=verl:OpenRLHF:RL); modules they import beside the functions wanted are replaced by stubs, so that
torch is the only other requirement (and TRL's own, for TRL). Writes OUT_FOLDER/PROGRAM.json and batches.json.

batches.json holds ragged batches (tool tokens, truncated and empty responses, a group of one, equal rewards). A program's
file holds, for each case, the part of src/rl meant, the function called, its options and what came out: values, and
gradients by autograd.
"""

import importlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import types
from collections import defaultdict
from unittest.mock import MagicMock

import torch

torch.set_default_dtype(torch.float64)


class Stubs:
    """Answers every import below the given names, except those listed as real, with a module of mocks."""

    def __init__(self, roots, real):
        self.roots, self.real = roots, real

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in self.roots or any(r == name or r.startswith(name + ".") for r in self.real):
            return None
        return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = lambda attribute: module.__dict__.setdefault(attribute, self.mock(attribute))
        return module

    def mock(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return type(attribute, (Config,), {}) if attribute.endswith("Config") else MagicMock(name=attribute)

    def exec_module(self, module):
        pass


class Config(types.SimpleNamespace):
    """Stands for the programs' configuration classes."""

    def get(self, name, default=None):
        return getattr(self, name, default)


def package_shell(name, folder):
    """A package without its __init__: its modules can be imported, and nothing else runs."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


def load(package, wanted, shells, missing):
    """The module `wanted` of a package that lies on the Python path. `shells`: packages on the way to it."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    root = pathlib.Path(spec.submodule_search_locations[0])
    for shell in [package, *shells]:
        package_shell(shell, root.joinpath(*shell.split(".")[1:]))
    real = {package, *shells, *wanted}
    sys.meta_path.insert(0, Stubs([package, *(m for m in missing if importlib.util.find_spec(m) is None)], real))
    return root, [importlib.import_module(name) for name in wanted]


def commit(root):
    result = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True)
    return result.stdout.strip() or None


# ---------------------------------------------------------------- batches


def f32(tensor):
    return tensor.float().double()


def batch(seed, tools):
    """Eight responses of three prompts. Lengths are ragged; response 5 is empty, prompt 2 has one response."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=g)
    randn = lambda *shape: torch.randn(*shape, generator=g)
    lengths = [7, 3, 10, 5, 10, 0, 1, 8]
    S, T = len(lengths), 10
    mask = torch.zeros(S, T)
    for s, length in enumerate(lengths):
        mask[s, :length] = 1
    if tools:
        mask[0, 2:4] = 0
        mask[2, 5:8] = 0
        mask[7, 0:1] = 0
    logprobs = f32(-1.5 * rand(S, T) - 0.1)
    b = {
        "mask": mask,
        "prompts": torch.tensor([0, 0, 0, 0, 1, 1, 1, 2]),
        "logprobs": logprobs,
        "oldLogprobs": f32(logprobs + 0.5 * randn(S, T)),
        "refLogprobs": f32(logprobs + 0.5 * randn(S, T)),
        "entropy": f32(rand(S, T)),
        "values": f32(randn(S, T)),
        "oldValues": f32(randn(S, T)),
        "returns": f32(randn(S, T)),
        "tokenAdvantages": f32(randn(S, T)),
        "advantages": f32(randn(S)),
        "rewards": torch.tensor([1.0, 0.0, 0.25, -0.5, 1.0, 1.0, 1.0, 0.75]),
    }
    b["samplerLogprobs"] = f32(b["oldLogprobs"] + 0.4 * randn(S, T))
    # One ratio far above any dual clip, on a negative advantage.
    b["oldLogprobs"][3, 1] = f32(b["logprobs"][3, 1] - 3)
    b["tokenAdvantages"][3, 1] = -1.25
    b["advantages"][3] = -1.5
    return b


BATCHES = {"plain": batch(1, False), "tools": batch(2, True)}


def token_rewards(b):
    """The outcome on the last token of the model."""
    rewards = torch.zeros_like(b["mask"])
    for s in range(len(rewards)):
        where = b["mask"][s].nonzero()
        if len(where):
            rewards[s, where[-1]] = b["rewards"][s]
    return rewards


def rows(tensor):
    return [[float(f"{x:.12g}") for x in row] for row in tensor.detach().tolist()]


class Cases(list):
    def tokens(self, part, function, batch, options, **expected):
        """Values per token, [S][T]."""
        expected = {name: rows(value) for name, value in expected.items()}
        self.append({"part": part, "function": function, "batch": batch, "options": options, "expected": expected})

    def loss(self, part, function, batch, options, run, wrt=("logprobs",)):
        """A loss and its gradients with respect to some arrays of the batch."""
        b = dict(BATCHES[batch])
        for name in wrt:
            b[name] = b[name].clone().requires_grad_()
        loss = run(b)
        gradients = torch.autograd.grad(loss, [b[name] for name in wrt], allow_unused=True)
        expected = {"loss": loss.item()}
        for name, gradient in zip(wrt, gradients):
            expected["d_" + name] = rows(torch.zeros_like(b[name]) if gradient is None else gradient)
        self.append({"part": part, "function": function, "batch": batch, "options": options, "expected": expected})


CLIP = {"clipLow": 0.2, "clipHigh": 0.28}


# ---------------------------------------------------------------- verl


def verl():
    found = load(
        "verl",
        ["verl.utils.torch_functional", "verl.trainer.ppo.core_algos"],
        ["verl.utils", "verl.trainer", "verl.trainer.ppo"],
        ["tensordict", "omegaconf", "flash_attn", "ray", "transformers"],
    )
    if found is None:
        return None
    root, (_, core) = found
    version = root.joinpath("version", "version").read_text().strip()
    cases = Cases()
    for name in BATCHES:
        b = BATCHES[name]
        mask, rewards, index = b["mask"], token_rewards(b), b["prompts"].numpy()
        gamma, lam = 0.97, 0.9
        a, r = core.compute_gae_advantage_return(rewards, b["values"], mask, gamma, lam)
        cases.tokens("gae-whitened", "compute_gae_advantage_return", name, {"gamma": gamma, "lambda": lam}, advantages=a, returns=r)
        for std, flag in (("sample", True), ("none", False)):
            a, _ = core.compute_grpo_outcome_advantage(rewards.clone(), mask, index, norm_adv_by_std_in_grpo=flag)
            cases.tokens("group", "compute_grpo_outcome_advantage", name, {"std": std}, advantages=a)
        a, _ = core.compute_rloo_outcome_advantage(rewards.clone(), mask, index)
        cases.tokens("leave-one-out", "compute_rloo_outcome_advantage", name, {}, advantages=a)
        a, _ = core.compute_reinforce_plus_plus_baseline_outcome_advantage(rewards.clone(), mask, index)
        cases.tokens("reinforce++-baseline", "compute_reinforce_plus_plus_baseline_outcome_advantage", name, {}, advantages=a)
        if name == "plain":
            # With tool tokens verl's return starts anew at each segment.
            a, _ = core.compute_reinforce_plus_plus_outcome_advantage(rewards, mask, config=Config(gamma=gamma))
            cases.tokens("reinforce++", "compute_reinforce_plus_plus_outcome_advantage", name, {"gamma": gamma}, advantages=a)
        r = core.compute_rewards(rewards, b["logprobs"], b["refLogprobs"], 0.1)
        cases.tokens("kl-reward", "compute_rewards", name, {"beta": 0.1, "estimator": "k1"}, rewards=r * mask)
        for mode, ours in (
            ("token-mean", "token-mean"),
            ("seq-mean-token-sum", "sequence-mean-token-sum"),
            ("seq-mean-token-mean", "sequence-mean-token-mean"),
            ("seq-mean-token-sum-norm", "constant"),
        ):
            scale = 10 if ours == "constant" else None
            cases.loss(
                "aggregation", "agg_loss", name, {"aggregation": ours, "constant": 10, "timesSequences": ours == "constant"},
                lambda b: core.agg_loss(b["logprobs"], mask, mode, loss_scale_factor=scale),
            )
        isWeight = torch.exp(b["oldLogprobs"] - b["samplerLogprobs"]).clamp(max=1.2)
        for function, surrogate, dual, aggregation in (
            ("compute_policy_loss_vanilla", "clip", 3.0, "token-mean"),
            ("compute_policy_loss_vanilla", "clip", 10.0, "sequence-mean-token-mean"),
            ("compute_policy_loss_cispo", "cispo", None, "token-mean"),
            ("compute_policy_loss_gspo", "gspo-token", None, "sequence-mean-token-mean"),
            ("compute_policy_loss_reinforce", "reinforce", None, "sequence-mean-token-sum"),
        ):
            for cap in (None, 1.2):
                config = core.ActorConfig(
                    clip_ratio=0.2, clip_ratio_low=0.2, clip_ratio_high=0.28, clip_ratio_c=dual or 1e9, global_batch_info={}
                )
                cases.loss(
                    "policy", function, name,
                    {"surrogate": surrogate, **CLIP, "dualClip": dual, "aggregation": aggregation, "cap": cap},
                    lambda b: getattr(core, function)(
                        b["oldLogprobs"], b["logprobs"], b["tokenAdvantages"], mask, aggregation.replace("sequence", "seq"),
                        config, None if cap is None else isWeight,
                    )[0],
                )
        cases.loss(
            "value", "compute_value_loss", name, {"valueClip": 0.2},
            lambda b: core.compute_value_loss(b["values"], b["returns"], b["oldValues"], mask, 0.2)[0], ("values",),
        )
        for estimator in ("k1", "k2", "k3"):
            cases.loss(
                "kl", "kl_penalty", name, {"estimator": estimator, "beta": 0.1},
                lambda b: 0.1 * core.agg_loss(core.kl_penalty(b["logprobs"], b["refLogprobs"], estimator), mask, "token-mean"),
            )
    return {"program": "verl", "version": version, "commit": commit(root), "cases": cases}


# ---------------------------------------------------------------- OpenRLHF


def openrlhf():
    names = ["openrlhf.models.utils", "openrlhf.models.loss", "openrlhf.trainer.ppo_utils.length_penalty"]
    found = load(
        "openrlhf",
        [*names, "openrlhf.trainer.ppo_utils.experience_maker"],
        ["openrlhf.models", "openrlhf.trainer", "openrlhf.trainer.ppo_utils"],
        ["deepspeed", "ray", "flash_attn", "vllm"],
    )
    if found is None:
        return None
    root, (utils, losses, penalty, maker) = found
    version_file = root.parent.joinpath("version.txt")
    version = version_file.read_text().strip() if version_file.exists() else importlib.metadata.version("openrlhf")
    cases = Cases()
    Maker = maker.RemoteExperienceMaker
    for name in BATCHES:
        b = BATCHES[name]
        mask = b["mask"]
        kept = mask.sum(-1) > 0
        if name == "plain":
            # Its GAE and returns know no tool tokens.
            a, r = Maker.get_advantages_and_returns(None, b["values"], token_rewards(b), mask, 0.97, 0.9)
            cases.tokens("gae", "RemoteExperienceMaker.get_advantages_and_returns", name, {"gamma": 0.97, "lambda": 0.9}, advantages=a, returns=r)
            r = Maker.get_cumulative_returns(None, token_rewards(b), mask, 0.97)
            cases.tokens("monte-carlo", "RemoteExperienceMaker.get_cumulative_returns", name, {"gamma": 0.97}, returns=r)
        for estimator in ("k1", "k2", "k3"):
            kl = utils.compute_approx_kl(b["logprobs"], b["refLogprobs"], estimator).double() * mask
            r = utils.compute_reward(b["rewards"], 0.1, kl, mask)
            options = {"beta": 0.1, "estimator": estimator}
            cases.tokens("kl-reward", "compute_reward, compute_approx_kl", name, options, rewards=r * mask)
        for surrogate, dual, token_level, cap in (
            ("clip", None, True, None),
            ("clip", 3.0, False, None),
            ("clip", None, True, 1.2),
            ("gspo", None, False, None),
        ):
            loss = losses.PolicyLoss(
                0.2, 0.28, dual, token_level, "ppo" if surrogate == "clip" else "gspo",
                enable_vllm_is_correction=cap is not None, vllm_is_truncated_threshold=[0.0, cap],
            )
            # The empty response is left out: its divisions by zero tokens are guarded in one mode only.
            advantages = "advantages" if surrogate == "gspo" else "tokenAdvantages"
            options = {"surrogate": surrogate, **CLIP, "dualClip": dual, "cap": cap, "advantages": advantages}
            options["aggregation"] = "token-mean" if token_level else "sequence-mean-token-mean"
            cases.loss(
                "policy", "PolicyLoss", name, options,
                lambda b: loss(
                    b["logprobs"][kept], b["oldLogprobs"][kept],
                    (b["advantages"].unsqueeze(-1) * mask if surrogate == "gspo" else b["tokenAdvantages"])[kept],
                    mask[kept], b["samplerLogprobs"][kept],
                )[0],
            )
        for clip in (None, 0.2):
            cases.loss(
                "value", "ValueLoss", name, {"valueClip": clip},
                lambda b: losses.ValueLoss(clip)(b["values"], b["oldValues"], b["returns"], mask), ("values",),
            )
    lengths = torch.tensor([1, 12, 13, 16, 17, 20, 25])
    experience = types.SimpleNamespace(response_length=lengths, rewards=torch.zeros(len(lengths)))
    penalty.apply_overlong_penalty([experience], 20, 8, 1.0)
    cases.append({
        "part": "soft-overlong", "function": "apply_overlong_penalty", "batch": None,
        "options": {"lengths": lengths.tolist(), "maxTokens": 20, "cacheTokens": 8},
        "expected": {"rewards": [experience.rewards.tolist()]},
    })
    return {"program": "OpenRLHF", "version": version, "commit": commit(root), "cases": cases}


# ---------------------------------------------------------------- NeMo-RL


def nemo_rl():
    found = load(
        "nemo_rl",
        [
            "nemo_rl.algorithms.utils", "nemo_rl.algorithms.loss.interfaces", "nemo_rl.algorithms.loss.loss_functions",
            "nemo_rl.algorithms.advantage_estimator",
        ],
        ["nemo_rl.algorithms", "nemo_rl.algorithms.loss"],
        ["ray", "transformers"],
    )
    if found is None:
        return None
    root, (_, _, losses, _) = found
    sys.modules["nemo_rl.algorithms.loss"].ClippedPGLossConfig = losses.ClippedPGLossConfig
    estimators = importlib.import_module("nemo_rl.algorithms.advantage_estimator")
    info = {}
    exec("\n".join(root.joinpath("package_info.py").read_text().splitlines()[15:28]), info)
    cases = Cases()
    shift = lambda tensor: torch.cat([torch.zeros(len(tensor), 1), tensor], dim=1)
    for name in BATCHES:
        b = BATCHES[name]
        mask, rewards = b["mask"], b["rewards"]
        prompts = b["prompts"].unsqueeze(-1)
        loss_config = losses.ClippedPGLossConfig(reference_policy_kl_penalty=0.0)
        for lam_policy, alpha in ((0.9, 0.0), (None, 0.4)):
            config = {
                "gae_lambda": 0.95, "gae_gamma": 0.97, "normalize_advantages": False, "gae_lambda_value": 1.0,
                "gae_lambda_policy": lam_policy, "length_adaptive_alpha": alpha,
            }
            a, r = estimators.GeneralizedAdvantageEstimator(config, loss_config).compute_advantage(
                prompts, rewards, mask, b["values"]
            )
            options = {"gamma": 0.97, "lambdaCritic": 1.0, "lambdaPolicy": lam_policy, "alpha": alpha or None}
            cases.tokens("decoupled-gae", "GeneralizedAdvantageEstimator", name, options, advantages=a, returns=r)
        config = estimators.AdvEstimatorConfig(normalize_rewards=False, use_leave_one_out_baseline=True)
        summed = token_rewards(b).sum(-1)
        a = estimators.GRPOAdvantageEstimator(config, loss_config).compute_advantage(prompts, summed, mask)
        # A group of one has advantage 0 here, not its reward.
        cases.tokens("leave-one-out", "GRPOAdvantageEstimator", name, {"zeroSingles": True}, advantages=a * mask)
        ones = torch.ones(len(rewards))
        for options, kwargs in (
            ({"surrogate": "clip", "dualClip": 3.0}, {"ratio_clip_c": 3.0}),
            ({"surrogate": "cispo"}, {"use_cispo": True}),
            ({"surrogate": "reinforce"}, {"disable_ppo_ratio": True}),
            ({"surrogate": "importance-sampling"}, {"ratio_clip_min": 1.0, "ratio_clip_max": 1e9}),
            ({"surrogate": "gspo", "advantages": "advantages"}, {"sequence_level_importance_ratios": True, "token_level_loss": False}),
            ({"surrogate": "clip", "cap": 1.2}, {
                "use_importance_sampling_correction": True, "truncated_importance_sampling_type": "tis",
                "truncated_importance_sampling_ratio": 1.2,
            }),
            ({"surrogate": "clip", "positiveNll": 0.1}, {"positive_example_nll_weight": 0.1}),
            ({"surrogate": "clip", "kl": "k3", "beta": 0.1, "valueOnly": True}, {"reference_policy_kl_penalty": 0.1}),
        ):
            cfg = losses.ClippedPGLossConfig(
                **{"ratio_clip_min": 0.2, "ratio_clip_max": 0.28, "reference_policy_kl_penalty": 0.0, **kwargs}
            )
            sequence = not cfg.token_level_loss
            options = {**CLIP, "dualClip": None, "cap": None, **options}
            options["aggregation"] = "sequence-mean-token-mean" if sequence else "token-mean"
            kept = mask.sum(-1) > 0

            def run(b):
                advantages = b["advantages"].unsqueeze(-1).expand(mask.shape) if sequence else b["tokenAdvantages"]
                data = {
                    "token_mask": shift(mask), "sample_mask": kept.double(), "advantages": shift(advantages),
                    "prev_logprobs": shift(b["oldLogprobs"]), "generation_logprobs": shift(b["samplerLogprobs"]),
                    "reference_policy_logprobs": shift(b["refLogprobs"]), "rewards": rewards,
                }
                return losses.ClippedPGLossFn(cfg)(b["logprobs"], data, kept.sum(), mask.sum())[0]

            cases.loss("policy", "ClippedPGLossFn", name, options, run)
        for clip in (None, 0.2):
            cases.loss(
                "value", "MseValueLossFn", name, {"valueClip": clip},
                lambda b: losses.MseValueLossFn(losses.MseValueLossConfig(cliprange=clip))(
                    b["values"], {"token_mask": mask, "sample_mask": ones, "returns": b["returns"], "values": b["oldValues"]},
                    ones.sum(), mask.sum(),
                )[0], ("values",),
            )
    version = ".".join(map(str, info["VERSION"][:3]))
    return {"program": "NeMo-RL", "version": version, "commit": commit(root), "cases": cases}


# ---------------------------------------------------------------- TRL


def trl():
    if importlib.util.find_spec("trl") is None:
        return None
    from trl import __version__
    from trl.trainer.grpo_trainer import GRPOTrainer

    cases = Cases()
    accelerator = types.SimpleNamespace(
        num_processes=1, gather=lambda x: x, reduce=lambda x, reduction=None: x, sync_gradients=True
    )
    for name in BATCHES:
        b = BATCHES[name]
        kept = b["mask"].sum(-1) > 0
        mask = b["mask"][kept]
        for loss_type, options in (
            ("grpo", {"surrogate": "clip", "aggregation": "sequence-mean-token-mean"}),
            ("grpo", {"surrogate": "gspo", "aggregation": "sequence-mean-token-mean", "advantages": "advantages"}),
            ("bnpo", {"surrogate": "clip", "aggregation": "token-mean", "kl": "k3", "beta": 0.1}),
            ("dapo", {"surrogate": "clip", "aggregation": "token-mean", "entropyBonus": 0.05}),
            ("dapo", {"surrogate": "clip", "aggregation": "token-mean", "cap": 1.2}),
            ("dr_grpo", {"surrogate": "clip", "aggregation": "constant", "constant": 10, "keptOnly": True}),
            ("cispo", {"surrogate": "cispo", "aggregation": "token-mean", "clipLow": 1.0}),
        ):
            options = {**CLIP, "dualClip": None, "cap": None, **options}
            advantages = options.get("advantages", "tokenAdvantages")
            bonus = options.get("entropyBonus", 0.0)

            def run(b):
                trainer = types.SimpleNamespace(
                    _get_per_token_logps_and_entropies=lambda *a, **k: (b["logprobs"][kept], b["entropy"][kept], None),
                    args=types.SimpleNamespace(
                        delta=None, use_bias_correction_kl=False, steps_per_generation=1, entropy_target=None
                    ),
                    model=types.SimpleNamespace(training=True), accelerator=accelerator, _metrics=defaultdict(lambda: defaultdict(list)),
                    aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
                    importance_sampling_level="sequence" if options["surrogate"] == "gspo" else "token",
                    beta=options.get("beta", 0.0), loss_type=loss_type, epsilon_low=options["clipLow"],
                    epsilon_high=1 + options["clipHigh"] if loss_type == "cispo" else options["clipHigh"],
                    use_vllm=options["cap"] is not None, vllm_importance_sampling_correction=True,
                    current_gradient_accumulation_steps=1, max_completion_length=10, _entropy_bonus_enabled=bonus != 0,
                    use_adaptive_entropy=False, entropy_coef=bonus,
                )
                ids = torch.zeros(mask.shape, dtype=torch.long)
                return GRPOTrainer._compute_loss(trainer, None, {
                    "prompt_ids": ids, "prompt_mask": mask, "completion_ids": ids, "completion_mask": mask,
                    "advantages": b[advantages][kept], "old_per_token_logps": b["oldLogprobs"][kept],
                    "ref_per_token_logps": b["refLogprobs"][kept], "num_items_in_batch": mask.sum(),
                    "importance_sampling_ratio": torch.exp(b["oldLogprobs"] - b["samplerLogprobs"])[kept].clamp(max=1.2),
                })

            wrt = ("logprobs", "entropy") if bonus else ("logprobs",)
            cases.loss("policy", f"GRPOTrainer._compute_loss (loss_type {loss_type})", name, options, run, wrt)
    return {"program": "TRL", "version": __version__, "commit": None, "cases": cases}


PROGRAMS = {"verl": verl, "openrlhf": openrlhf, "nemo-rl": nemo_rl, "trl": trl}


def write(file, content):
    file.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    names = sys.argv[2:] or list(PROGRAMS)
    if len(names) > 1:
        # Stubs of one program must not reach the next.
        for name in names:
            subprocess.run([sys.executable, __file__, str(out), name], check=True)
        sys.exit()
    golden = PROGRAMS[names[0]]()
    if golden is None:
        sys.exit(print(f"{names[0]}: not on the Python path", file=sys.stderr))
    made_by = f"verify/peers/make_rl_parity.py, torch {torch.__version__}"
    batches = {name: {k: v.tolist() for k, v in batch.items()} for name, batch in BATCHES.items()}
    write(out / "batches.json", {"made_by": made_by, **batches})
    write(out / f"{names[0]}.json", {"made_by": made_by, **golden})
    print(f"{names[0]} {golden['version']}: {len(golden['cases'])} cases", file=sys.stderr)
