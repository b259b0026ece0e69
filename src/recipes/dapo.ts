import { MINI_RL } from './mini.js';
import { RL_OFF } from './off.js';
import { defineRecipe } from './types.js';

const PAPER = 'DAPO, arXiv 2503.14476';
const SCRIPT = 'verl-recipe dapo/run_dapo_qwen2.5_32b.sh';
const TRAINER = 'verl-recipe dapo/dapo_ray_trainer.py';

/** Decoupled clip and dynamic sampling policy optimisation: DAPO, with the paper's four changes to GRPO. */
export const dapo = defineRecipe({
  name: 'dapo',
  title: 'DAPO: clip-higher, dynamic sampling, token-mean loss, soft overlong punishment',
  system: 'DAPO (arXiv 2503.14476), details as in its verl recipe',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    iterations: { value: 600, source: `${PAPER} Figure 1: some 10,000 updates at 16 an iteration`, status: 'assumed' },
    promptsPerIteration: { value: 512, source: `${PAPER} section 4.1`, status: 'paper' },
    groupSize: { value: 16, source: `${PAPER} section 4.1`, status: 'paper' },
    updatesPerIteration: { value: 16, source: `${PAPER} section 4.1: mini-batches of 512 responses`, status: 'paper' },
    sequencesPerUpdate: { value: null, source: 'updatesPerIteration decides', status: 'paper' },
    epochs: { value: 1, source: `${PAPER} section 4.1: 16 updates per rollout step`, status: 'paper' },
    temperature: { value: 1, source: SCRIPT, status: 'code' },
    topP: { value: null, source: `${SCRIPT}: top_p 1`, status: 'code' },
    topK: { value: null, source: `${SCRIPT}: top_k -1`, status: 'code' },
    minP: { value: null, source: 'not used', status: 'code' },
    maxTokens: { value: 20480, source: `${PAPER} section 4.1`, status: 'paper' },
    'overlong.soft.enabled': { value: true, source: `${PAPER} section 3.4, Eq. 13`, status: 'paper' },
    'overlong.soft.maxTokens': {
      ...{ value: 20480, source: `${PAPER} section 4.1`, status: 'paper' },
      follows: { path: 'maxTokens', ratio: 1 },
    },
    'overlong.soft.cacheTokens': {
      ...{ value: 4096, source: `${PAPER} section 4.1`, status: 'paper' },
      follows: { path: 'maxTokens', ratio: 0.2 },
    },
    'overlong.soft.factor': { value: 1, source: SCRIPT, status: 'code' },
    'overlong.filter': {
      value: false,
      source: `${PAPER} section 3.4: replaced by the soft punishment`,
      status: 'paper',
    },
    'rewards.correct': { value: 1, source: `${PAPER} Eq. 7`, status: 'paper' },
    'rewards.wrong': { value: -1, source: `${PAPER} Eq. 7`, status: 'paper' },
    'advantage.kind': { value: 'group', source: `${PAPER} Eq. 9`, status: 'paper' },
    'advantage.std': {
      value: 'sample',
      source: `${PAPER} Eq. 9; ddof 1: verl trainer/ppo/core_algos.py`,
      status: 'code',
    },
    'advantage.eps': { value: 1e-6, source: 'verl trainer/ppo/core_algos.py', status: 'code' },
    'loss.kind': { value: 'clip', source: `${PAPER} Eq. 8`, status: 'paper' },
    'loss.clipLow': { value: 0.2, source: `${PAPER} section 4.1`, status: 'paper' },
    'loss.clipHigh': { value: 0.28, source: `${PAPER} section 4.1`, status: 'paper' },
    'loss.dualClip': { value: 10, source: `${SCRIPT}: clip_ratio_c`, status: 'code' },
    'loss.entropyBonus': { value: 0, source: SCRIPT, status: 'code' },
    aggregation: { value: 'token-mean', source: `${PAPER} Eq. 8, over one update as in verl`, status: 'paper' },
    oldLogprobs: { value: 'trainer', source: `${TRAINER}: compute_log_prob after the filter`, status: 'code' },
    'dynamicSampling.enabled': { value: true, source: `${PAPER} section 3.2, Algorithm 1`, status: 'paper' },
    'dynamicSampling.promptsPerBatch': { value: 1536, source: `${SCRIPT}: gen_prompt_bsz`, status: 'code' },
    'dynamicSampling.maxBatches': { value: 10, source: `${SCRIPT}: max_num_gen_batches`, status: 'code' },
    'dynamicSampling.onLimit': { value: 'error', source: `${TRAINER}: raises ValueError`, status: 'code' },
    'kl.placement': { value: 'off', source: `${PAPER} section 2.3`, status: 'paper' },
    'dynamicSampling.metric': { value: 'accuracy', source: `${SCRIPT}: filter_groups.metric acc`, status: 'code' },
    'dynamicSampling.excess': { value: 'discard', source: `${TRAINER}: the batch is cut`, status: 'code' },
    'optimizer.lr': { value: 1e-6, source: `${PAPER} section 4.1`, status: 'paper' },
    'optimizer.beta1': { value: 0.9, source: 'verl workers/config/optimizer.py: betas', status: 'code' },
    'optimizer.beta2': { value: 0.999, source: 'verl workers/config/optimizer.py: betas', status: 'code' },
    'optimizer.eps': { value: 1e-8, source: 'PyTorch AdamW', status: 'code' },
    'optimizer.weightDecay': { value: 0.1, source: SCRIPT, status: 'code' },
    'optimizer.gradClipNorm': { value: 1, source: SCRIPT, status: 'code' },
    'optimizer.warmupUpdates': {
      ...{ value: 320, source: `${PAPER} section 4.1: 20 rollout steps of 16 updates (the script has 10 updates)` },
      status: 'paper',
    },
    'optimizer.schedule': { value: 'constant', source: `${PAPER} section 4.1`, status: 'paper' },
    'optimizer.finalLrFraction': { value: 1, source: 'constant schedule', status: 'paper' },
    maxSkippedUpdates: { value: 5, source: 'a safeguard of ours', status: 'assumed' },
    'validation.every': { value: 5, source: `${SCRIPT}: test_freq`, status: 'code' },
    'validation.problems': {
      value: 100,
      source: 'our choice: a standard error of at most 5 points',
      status: 'assumed',
    },
    'checkpoint.every': { value: 5, source: `${SCRIPT}: save_freq`, status: 'code' },
    'checkpoint.keep': { value: 2, source: 'our retention', status: 'assumed' },
  },
  presets: { paper: {}, mini: MINI_RL },
});
