import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { stage } from './stages.js';
import { defineRecipe } from './types.js';
import { assumed, code, paper } from './values.js';

const PAPER = 'STILL-3, arXiv 2503.04548';
const ZERO_SCRIPT = 'RUCAIBox/Slow_Thinking_with_LLMs VERL-STILL/scripts/run_grpo.sh';
const SMALL_SCRIPT = 'RUCAIBox/Slow_Thinking_with_LLMs OpenRLHF-STILL/dpsk1_5b-4nodes-grpo.sh';

const GRPO = {
  epochs: paper(1, `${PAPER} section 3.2: on-policy`),
  'advantage.kind': code('group', `${ZERO_SCRIPT}: adv_estimator grpo`),
  'advantage.std': code('sample', 'verl: ddof 1'),
  'loss.kind': code('clip', 'verl'),
  'loss.clipLow': code(0.2, 'verl: clip_ratio'),
  'loss.clipHigh': code(0.2, 'verl: clip_ratio'),
  aggregation: code('token-mean', 'verl of March 2025: masked mean'),
  oldLogprobs: code('trainer', 'verl'),
  'optimizer.warmupUpdates': assumed(0, 'not stated'),
} as const;

/** Short responses first: the context grows once few samples are cut. The paper gives the ends of the range alone. */
const GROWING = [8192, 12288, 16384].map((maxTokens) =>
  stage(`${maxTokens / 1024}k`, null, { set: { maxTokens }, until: { truncatedBelow: 0.02 }, reset: false }),
);
const MINI_STAGES = [stage('64', 4, { set: { maxTokens: 64 }, reset: false }), stage('all', null, { reset: false })];
const STAGES = [...GROWING, stage('20k', null, { reset: false })];

/** RL on a base model (section 3.2). The factor study of section 3.1 is a sweep: docs/recipes.md. */
export const still3 = defineRecipe({
  name: 'still3',
  title: 'STILL-3-Zero: on-policy GRPO on a base model, context growing from 8k to 20k',
  system: 'STILL-3 (arXiv 2503.04548) section 3.2 and its code',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...GRPO,
    iterations: assumed(1000, 'not stated; still rising at the end'),
    promptsPerIteration: paper(128, `${PAPER} section 3.2`),
    groupSize: paper(16, `${PAPER} section 3.2`),
    updatesPerIteration: paper(1, `${PAPER} section 3.2: on-policy`),
    temperature: code(1, `${ZERO_SCRIPT}; the study of section 3.1 recommends 1.2`),
    maxTokens: paper(20480, `${PAPER} section 3.2`),
    'rewards.correct': paper(1, `${PAPER} section 2`),
    'rewards.wrong': paper(0, `${PAPER} section 2`),
    'advantage.eps': code(1e-6, 'verl'),
    'kl.placement': paper('off', `${PAPER} section 3.2`),
    'curriculum.stages': paper(STAGES, `${PAPER} section 3.2: extended gradually from 8k to 20k; the steps are ours`),
    'optimizer.lr': paper(1e-6, `${PAPER} section 3.2 (${ZERO_SCRIPT}: 5e-7)`),
    'optimizer.weightDecay': code(0.01, 'verl'),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      updatesPerIteration: paper(1, `${PAPER} section 3.2: on-policy`),
      temperature: paper(1.2, `${PAPER} Table 1`),
      iterations: assumed(16, 'one update an iteration: more of them'),
      'optimizer.warmupUpdates': assumed(2, 'short runs'),
      'kl.placement': paper('loss', `${PAPER} Table 1`),
      'kl.coefficient': paper(0.001, `${PAPER} Table 1: from 0.001`),
      'kl.schedule': paper('cosine', `${PAPER} Table 1: dynamic annealing`),
      'kl.finalCoefficient': paper(0, `${PAPER} Table 1: to 0`),
      'curriculum.stages': assumed(MINI_STAGES, 'a shorter context first'),
    },
  },
});

/** RL on a distilled model (section 4.3): the KL is to a reference that is replaced by the policy now and then. */
export const still3Small = defineRecipe({
  name: 'still3-1.5b',
  title: 'STILL-3-1.5B: GRPO on a distilled model, KL to a reference that is replaced',
  system: 'STILL-3 (arXiv 2503.04548) section 4.3 and its code',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...GRPO,
    epochs: code(1, SMALL_SCRIPT),
    'advantage.kind': code('group', `${SMALL_SCRIPT}: group_norm`),
    'advantage.std': code('sample', 'OpenRLHF: ddof 1'),
    'loss.kind': code('clip', 'OpenRLHF'),
    'loss.clipLow': code(0.2, 'OpenRLHF: eps_clip'),
    'loss.clipHigh': code(0.2, 'OpenRLHF: eps_clip'),
    aggregation: code('sequence-mean-token-mean', 'OpenRLHF: masked mean of each response'),
    oldLogprobs: code('trainer', 'OpenRLHF'),
    iterations: assumed(1000, 'not stated'),
    promptsPerIteration: paper(128, `${PAPER} section 4.3`),
    groupSize: paper(8, `${PAPER} section 4.3`),
    updatesPerIteration: paper(2, `${PAPER} section 4.3: mini-batch 64 of 128`),
    temperature: code(1, SMALL_SCRIPT),
    maxTokens: code(29000, SMALL_SCRIPT),
    'rewards.correct': code(1, 'its reward server, server_dpsk_tuple (the paper: 1 and 0)'),
    'rewards.wrong': code(-1, 'its reward server, server_dpsk_tuple'),
    'rewards.noAnswer': code(-1, 'its reward server: -2 without a box, and 1 more by a test that always holds then'),
    'advantage.eps': code(1e-8, `${SMALL_SCRIPT}: group_norm`),
    'kl.placement': code('reward', 'OpenRLHF: a penalty for each token'),
    'kl.estimator': code('k1', 'OpenRLHF'),
    'kl.coefficient': paper(0.001, `${PAPER} section 4.3`),
    'kl.schedule': paper('constant', `${PAPER} section 4.3`),
    'kl.perResponse': assumed(true, "group advantages take one reward a response: its KL beside the others' mean"),
    'kl.reference.kind': paper('replaced', `${PAPER} section 4.3`),
    'kl.reference.every': assumed(50, `${PAPER} section 4.3: periodically`),
    'optimizer.lr': paper(2e-6, `${PAPER} section 4.3`),
    'optimizer.weightDecay': assumed(0, 'not stated'),
  },
  presets: {
    paper: {},
    mini: { ...MINI_RL, 'kl.reference.every': assumed(5, 'a few times in a short run') },
  },
});
