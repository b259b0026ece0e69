import { MINI_RL } from './mini.js';
import { RL_OFF } from './off.js';
import { defineRecipe } from './types.js';

const PAPER = 'DeepSeekMath, arXiv 2402.03300';
const VERL = 'verl';
const VERL_CONFIG = 'verl trainer/config/ppo_trainer.yaml';

/**
 * Group Relative Policy Optimization as it is used on verifiable rewards today: without the KL term to a reference that
 * the paper has (coefficient 0.04).
 */
export const grpo = defineRecipe({
  name: 'grpo',
  title: 'GRPO: group-relative advantages, mean over sequences of token means, no KL term',
  system: 'DeepSeekMath (arXiv 2402.03300), details of the estimator as in verl',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    iterations: { value: 1000, source: 'the length of the run is not stated', status: 'assumed' },
    promptsPerIteration: {
      value: 16,
      source: `${PAPER} section 4.2: batch 1,024 read as 16 x 64 responses`,
      status: 'assumed',
    },
    groupSize: { value: 64, source: `${PAPER} section 4.2`, status: 'paper' },
    updatesPerIteration: { value: 1, source: `${PAPER} section 4.2: a single update per exploration`, status: 'paper' },
    sequencesPerUpdate: { value: null, source: 'updatesPerIteration decides', status: 'paper' },
    epochs: { value: 1, source: `${PAPER} section 4.2`, status: 'paper' },
    temperature: { value: 1, source: `${VERL_CONFIG}: rollout.temperature`, status: 'code' },
    topP: { value: null, source: `${VERL_CONFIG}: rollout.top_p 1`, status: 'code' },
    topK: { value: null, source: `${VERL_CONFIG}: rollout.top_k -1`, status: 'code' },
    minP: { value: null, source: 'not used', status: 'code' },
    maxTokens: { value: 1024, source: `${PAPER} section 4.2`, status: 'paper' },
    'overlong.soft.enabled': { value: false, source: 'not in the paper', status: 'paper' },
    'overlong.soft.maxTokens': {
      ...{ value: 1024, source: 'off; maxTokens', status: 'assumed' },
      follows: { path: 'maxTokens', ratio: 1 },
    },
    'overlong.soft.cacheTokens': {
      ...{ value: 205, source: 'off; a fifth of maxTokens as in DAPO', status: 'assumed' },
      follows: { path: 'maxTokens', ratio: 0.2 },
    },
    'overlong.soft.factor': { value: 1, source: 'off', status: 'assumed' },
    'overlong.filter': { value: false, source: 'not in the paper', status: 'paper' },
    'rewards.correct': {
      value: 1,
      source: `${VERL} utils/reward_score/gsm8k.py; the paper has a reward model`,
      status: 'code',
    },
    'rewards.wrong': {
      value: 0,
      source: `${VERL} utils/reward_score/gsm8k.py; the paper has a reward model`,
      status: 'code',
    },
    'advantage.kind': { value: 'group', source: `${PAPER} section 4.1.2`, status: 'paper' },
    'advantage.std': {
      value: 'sample',
      source: `${PAPER} section 4.1.2; ddof 1: ${VERL} trainer/ppo/core_algos.py`,
      status: 'code',
    },
    'advantage.eps': { value: 1e-6, source: `${VERL} trainer/ppo/core_algos.py`, status: 'code' },
    'loss.kind': { value: 'clip', source: `${PAPER} Eq. 3`, status: 'paper' },
    'loss.clipLow': { value: 0.2, source: `${VERL_CONFIG}: actor.clip_ratio`, status: 'code' },
    'loss.clipHigh': { value: 0.2, source: `${VERL_CONFIG}: actor.clip_ratio`, status: 'code' },
    'loss.dualClip': { value: null, source: 'not in the paper (verl: clip_ratio_c 3)', status: 'paper' },
    'loss.entropyBonus': { value: 0, source: 'not in the paper', status: 'paper' },
    aggregation: { value: 'sequence-mean-token-mean', source: `${PAPER} Eq. 3`, status: 'paper' },
    oldLogprobs: {
      value: 'trainer',
      source: `${VERL} ray_trainer.py: compute_log_prob before the update`,
      status: 'code',
    },
    'dynamicSampling.enabled': { value: false, source: 'not in the paper', status: 'paper' },
    'dynamicSampling.promptsPerBatch': { value: null, source: 'off', status: 'assumed' },
    'dynamicSampling.maxBatches': { value: 10, source: 'off', status: 'assumed' },
    'dynamicSampling.onLimit': { value: 'error', source: 'off', status: 'assumed' },
    'kl.placement': {
      value: 'off',
      source: 'without the KL term of the paper (its coefficient is 0.04)',
      status: 'assumed',
    },
    'optimizer.lr': { value: 1e-6, source: `${PAPER} section 4.2`, status: 'paper' },
    'optimizer.beta1': { value: 0.9, source: `${VERL} workers/config/optimizer.py: betas`, status: 'code' },
    'optimizer.beta2': { value: 0.999, source: `${VERL} workers/config/optimizer.py: betas`, status: 'code' },
    'optimizer.eps': { value: 1e-8, source: 'PyTorch AdamW', status: 'code' },
    'optimizer.weightDecay': { value: 0.01, source: `${VERL_CONFIG}: optim.weight_decay`, status: 'code' },
    'optimizer.gradClipNorm': { value: 1, source: `${VERL_CONFIG}: actor.grad_clip`, status: 'code' },
    'optimizer.warmupUpdates': {
      value: 0,
      source: `${VERL_CONFIG}: optim.lr_warmup_steps -1, lr_warmup_steps_ratio 0`,
      status: 'code',
    },
    'optimizer.schedule': {
      value: 'constant',
      source: `${VERL_CONFIG}: optim.warmup_style (lr_scheduler_type since)`,
      status: 'code',
    },
    'optimizer.finalLrFraction': { value: 1, source: 'constant schedule', status: 'code' },
    maxSkippedUpdates: { value: 5, source: 'a safeguard of ours', status: 'assumed' },
    'validation.every': { value: 10, source: 'our cadence', status: 'assumed' },
    'validation.problems': {
      value: 100,
      source: 'our choice: a standard error of at most 5 points',
      status: 'assumed',
    },
    'checkpoint.every': { value: 10, source: 'our cadence', status: 'assumed' },
    'checkpoint.keep': { value: 2, source: 'our retention', status: 'assumed' },
  },
  presets: { paper: {}, mini: MINI_RL },
});
