import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { stage } from './stages.js';
import { defineRecipe } from './types.js';
import { assumed, paper } from './values.js';

const PAPER = 'Difficulty-staged RL, arXiv 2504.00829';
const SILENT = `not stated in ${PAPER}`;

const MODELS = { small: 'r1-distill-1.5b', medium: 'r1-distill-7b', large: 'r1-distill-32b', strongest: 'r1' };
const level = (which: 2 | 3) => ({
  ...{ file: 'pass-rates.jsonl', level: which, models: MODELS, solvedShare: 0.5 },
});

/** Level 2 at 16k with an entropy bonus until a plateau; then level 3 at 24k without it, truncated samples left out. */
const STAGES = [
  stage('level 2, 16k', 1600, {
    data: { level: level(2) },
    set: { maxTokens: 16384 },
  }),
  stage('level 3, 24k', null, {
    data: { level: level(3) },
    set: { maxTokens: 24576, 'loss.entropyBonus': 0, 'overlong.filter': true },
    reset: false,
  }),
];

/** In miniature no pass rates are at hand: both stages have all problems, and differ in length, truncation mask and entropy. */
const MINI_STAGES = [
  stage('moderate', 6, { set: { maxTokens: 96 }, reset: false }),
  stage('hard, longer', null, { set: { 'loss.entropyBonus': 0, 'overlong.filter': true }, reset: false }),
];

/** GRPO in two stages by measured difficulty. Measure with `hone data label-difficulty`. */
export const difficultyStaged = defineRecipe({
  name: 'difficulty-staged',
  title: 'Difficulty-staged RL: GRPO on moderate, then hard problems with a longer context',
  system: 'How Difficulty-Aware Staged RL Enhances LLMs (arXiv 2504.00829); no training code',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'exactEntropy'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: assumed(2200, `${PAPER} Figure 2: the second stage begins near step 1,600; its end is not stated`),
    promptsPerIteration: assumed(128, `${PAPER} section 4.1: batch 128, read as prompts`),
    groupSize: paper(16, `${PAPER} section 4.1`),
    updatesPerIteration: paper(1, `${PAPER} section 4.1: strictly on-policy`),
    epochs: paper(1, `${PAPER} section 4.1: strictly on-policy`),
    temperature: assumed(1, SILENT),
    maxTokens: paper(24576, `${PAPER} section 4.1: 16k in stage 1, 24k in stage 2`),
    'rewards.correct': paper(1, `${PAPER} section 3.2`),
    'rewards.wrong': paper(0, `${PAPER} section 3.2`),
    'advantage.kind': paper('group', `${PAPER} section 4.1: GRPO`),
    'advantage.std': assumed('sample', `${SILENT}; verl`),
    'advantage.eps': assumed(1e-6, `${SILENT}; verl`),
    'loss.kind': paper('clip', `${PAPER} section 4.1: GRPO`),
    'loss.clipLow': assumed(0.2, `${SILENT}; never acts with one update an iteration`),
    'loss.clipHigh': assumed(0.2, `${SILENT}; never acts with one update an iteration`),
    'loss.entropyBonus': paper(0.001, `${PAPER} section 4.1: stage 1; none in stage 2`),
    aggregation: assumed('sequence-mean-token-mean', `${SILENT}; GRPO`),
    oldLogprobs: assumed('trainer', SILENT),
    'kl.placement': paper('loss', `${PAPER} section 4.1`),
    'kl.estimator': assumed('k3', `${SILENT}; GRPO`),
    'kl.coefficient': paper(0.001, `${PAPER} section 4.1`),
    'kl.schedule': paper('constant', `${PAPER} section 4.1`),
    'kl.reference.kind': assumed('fixed', SILENT),
    'curriculum.stages': paper(
      STAGES,
      `${PAPER} section 4.3; switch by eye at step 1,600 of Figure 2; solved by the 32B read as a pass rate of 1`,
    ),
    'optimizer.lr': paper(1e-6, `${PAPER} section 4.1`),
    'optimizer.weightDecay': assumed(0, SILENT),
    'optimizer.warmupUpdates': assumed(0, SILENT),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      updatesPerIteration: paper(1, `${PAPER} section 4.1: strictly on-policy`),
      iterations: assumed(16, 'one update an iteration: more of them'),
      'optimizer.warmupUpdates': assumed(2, 'short runs'),
      'curriculum.stages': assumed(MINI_STAGES, 'length, truncation mask and entropy in stages; no pass rates at hand'),
    },
  },
});
