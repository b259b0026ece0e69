import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, code, paper } from './values.js';

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
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: assumed(600, `${PAPER} Figure 1: some 10,000 updates at 16 an iteration`),
    promptsPerIteration: paper(512, `${PAPER} section 4.1`),
    groupSize: paper(16, `${PAPER} section 4.1`),
    updatesPerIteration: paper(16, `${PAPER} section 4.1: mini-batches of 512 responses`),
    epochs: paper(1, `${PAPER} section 4.1: 16 updates per rollout step`),
    temperature: code(1, SCRIPT),
    topP: code(null, `${SCRIPT}: top_p 1`),
    topK: code(null, `${SCRIPT}: top_k -1`),
    maxTokens: paper(20480, `${PAPER} section 4.1`),
    'overlong.soft.enabled': paper(true, `${PAPER} section 3.4, Eq. 13`),
    'overlong.soft.maxTokens': {
      ...paper(20480, `${PAPER} section 4.1`),
      follows: { path: 'maxTokens', ratio: 1 },
    },
    'overlong.soft.cacheTokens': {
      ...paper(4096, `${PAPER} section 4.1`),
      follows: { path: 'maxTokens', ratio: 0.2 },
    },
    'overlong.soft.factor': code(1, SCRIPT),
    'overlong.filter': paper(false, `${PAPER} section 3.4: replaced by the soft punishment`),
    'rewards.correct': paper(1, `${PAPER} Eq. 7`),
    'rewards.wrong': paper(-1, `${PAPER} Eq. 7`),
    'advantage.kind': paper('group', `${PAPER} Eq. 9`),
    'advantage.std': code('sample', `${PAPER} Eq. 9; ddof 1: verl trainer/ppo/core_algos.py`),
    'advantage.eps': code(1e-6, 'verl trainer/ppo/core_algos.py'),
    'loss.kind': paper('clip', `${PAPER} Eq. 8`),
    'loss.clipLow': paper(0.2, `${PAPER} section 4.1`),
    'loss.clipHigh': paper(0.28, `${PAPER} section 4.1`),
    'loss.dualClip': code(10, `${SCRIPT}: clip_ratio_c`),
    'loss.entropyBonus': code(0, SCRIPT),
    aggregation: paper('token-mean', `${PAPER} Eq. 8, over one update as in verl`),
    oldLogprobs: code('trainer', `${TRAINER}: compute_log_prob after the filter`),
    'dynamicSampling.enabled': paper(true, `${PAPER} section 3.2, Algorithm 1`),
    'dynamicSampling.promptsPerBatch': code(1536, `${SCRIPT}: gen_prompt_bsz`),
    'dynamicSampling.maxBatches': code(10, `${SCRIPT}: max_num_gen_batches`),
    'dynamicSampling.onLimit': code('error', `${TRAINER}: raises ValueError`),
    'kl.placement': paper('off', `${PAPER} section 2.3`),
    'dynamicSampling.metric': code('accuracy', `${SCRIPT}: filter_groups.metric acc`),
    'dynamicSampling.excess': code('discard', `${TRAINER}: the batch is cut`),
    'optimizer.lr': paper(1e-6, `${PAPER} section 4.1`),
    'optimizer.beta1': code(0.9, 'verl workers/config/optimizer.py: betas'),
    'optimizer.beta2': code(0.999, 'verl workers/config/optimizer.py: betas'),
    'optimizer.eps': code(1e-8, 'PyTorch AdamW'),
    'optimizer.weightDecay': code(0.1, SCRIPT),
    'optimizer.gradClipNorm': code(1, SCRIPT),
    'optimizer.warmupUpdates': paper(
      320,
      `${PAPER} section 4.1: 20 rollout steps of 16 updates (the script has 10 updates)`,
    ),
    'optimizer.schedule': paper('constant', `${PAPER} section 4.1`),
    maxSkippedUpdates: assumed(5, 'a safeguard of ours'),
    'validation.every': code(5, `${SCRIPT}: test_freq`),
    'validation.problems': assumed(100, 'our choice: a standard error of at most 5 points'),
    'checkpoint.every': code(5, `${SCRIPT}: save_freq`),
    'checkpoint.keep': assumed(2, 'our retention'),
  },
  presets: { paper: {}, mini: MINI_RL },
});
