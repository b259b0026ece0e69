import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, code, paper } from './values.js';

const PAPER = 'DeepSeekMath, arXiv 2402.03300';
const VERL = 'verl';
const VERL_CONFIG = 'verl trainer/config/ppo_trainer.yaml';

/** Group Relative Policy Optimization. On verifiable rewards it is mostly used without its KL today, as the preset mini has it. */
export const grpo = defineRecipe({
  name: 'grpo',
  title: 'GRPO: group-relative advantages, mean over sequences of token means',
  system: 'DeepSeekMath (arXiv 2402.03300), details of the estimator as in verl',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: assumed(1000, 'the length of the run is not stated'),
    promptsPerIteration: assumed(16, `${PAPER} section 4.2: batch 1,024 read as 16 x 64 responses`),
    groupSize: paper(64, `${PAPER} section 4.2`),
    updatesPerIteration: paper(1, `${PAPER} section 4.2: a single update per exploration`),
    epochs: paper(1, `${PAPER} section 4.2`),
    temperature: code(1, `${VERL_CONFIG}: rollout.temperature`),
    maxTokens: paper(1024, `${PAPER} section 4.2`),
    'rewards.correct': code(1, `${VERL} utils/reward_score/gsm8k.py; the paper has a reward model`),
    'rewards.wrong': code(0, `${VERL} utils/reward_score/gsm8k.py; the paper has a reward model`),
    'advantage.kind': paper('group', `${PAPER} section 4.1.2`),
    'advantage.std': code('sample', `${PAPER} section 4.1.2; ddof 1: ${VERL} trainer/ppo/core_algos.py`),
    'advantage.eps': code(1e-6, `${VERL} trainer/ppo/core_algos.py`),
    'loss.kind': paper('clip', `${PAPER} Eq. 3`),
    'loss.clipLow': code(0.2, `${VERL_CONFIG}: actor.clip_ratio`),
    'loss.clipHigh': code(0.2, `${VERL_CONFIG}: actor.clip_ratio`),
    aggregation: paper('sequence-mean-token-mean', `${PAPER} Eq. 3`),
    oldLogprobs: code('trainer', `${VERL} ray_trainer.py: compute_log_prob before the update`),
    'kl.placement': paper('loss', `${PAPER} Eq. 3`),
    'kl.estimator': paper('k3', `${PAPER} Eq. 4`),
    'kl.coefficient': paper(0.04, `${PAPER} section 4.2`),
    'kl.schedule': paper('constant', `${PAPER} section 4.2`),
    'kl.reference.kind': assumed(
      'fixed',
      `${PAPER} Algorithm 1 replaces it in an outer loop whose length is not stated`,
    ),
    'optimizer.lr': paper(1e-6, `${PAPER} section 4.2`),
    'optimizer.beta1': code(0.9, `${VERL} workers/config/optimizer.py: betas`),
    'optimizer.beta2': code(0.999, `${VERL} workers/config/optimizer.py: betas`),
    'optimizer.eps': code(1e-8, 'PyTorch AdamW'),
    'optimizer.weightDecay': code(0.01, `${VERL_CONFIG}: optim.weight_decay`),
    'optimizer.gradClipNorm': code(1, `${VERL_CONFIG}: actor.grad_clip`),
    'optimizer.warmupUpdates': code(0, `${VERL_CONFIG}: optim.lr_warmup_steps -1, lr_warmup_steps_ratio 0`),
    'optimizer.schedule': code('constant', `${VERL_CONFIG}: optim.warmup_style (lr_scheduler_type since)`),
  },
  presets: {
    paper: {},
    mini: { ...MINI_RL, 'kl.placement': assumed('off', 'GRPO on verifiable rewards today: no KL (DAPO section 2.3)') },
  },
});
