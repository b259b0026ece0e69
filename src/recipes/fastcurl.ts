import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { stage } from './stages.js';
import { defineRecipe } from './types.js';
import { absent, assumed, code, paper } from './values.js';

const PAPER = 'FastCuRL, arXiv 2503.17287';
const SCRIPTS = 'nick7nlp/FastCuRL fastcurl/scripts/train';
const VERL = 'verl of March 2025';

/** 8K, 16K, 24K, 16K of context on short, all, long, all problems; stage lengths are those of the repository's README. */
const STAGES = [
  stage('8K, short prompts', 160, {
    data: { promptLength: 'short' },
    set: { maxTokens: 8192, promptsPerIteration: 128, updatesPerIteration: 2 },
  }),
  stage('16K, all', 590, { set: { maxTokens: 16384 } }),
  stage('24K, long prompts', 230, { data: { promptLength: 'long' }, set: { maxTokens: 24576 } }),
  stage('16K, all, 16 samples', 580, { set: { maxTokens: 16384, groupSize: 16 } }),
];

/** The same in miniature: a third and two thirds of the longest responses first. */
const MINI_STAGES = [
  stage('short', 3, { data: { promptLength: 'short' }, set: { maxTokens: 64 } }),
  stage('all', 4, { set: { maxTokens: 96 } }),
  stage('long', 2, { data: { promptLength: 'long' } }),
  stage('all again', null),
];

/** GRPO over stages that match the length of prompts with the context. */
export const fastcurl = defineRecipe({
  name: 'fastcurl',
  title: 'FastCuRL: GRPO in stages by prompt length and context',
  system: 'FastCuRL (arXiv 2503.17287) and its scripts',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'exactEntropy'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: code(1560, 'README: some 160, 590, 230 and 580 steps'),
    promptsPerIteration: code(64, `${SCRIPTS}: train_batch_size of stages 2 to 4; 128 in the first`),
    groupSize: code(8, `${SCRIPTS}: rollout.n; 16 in the last stage`),
    updatesPerIteration: code(1, `${SCRIPTS}: ppo_mini_batch_size 64; two in the first stage`),
    epochs: code(1, VERL),
    temperature: code(0.6, SCRIPTS),
    maxTokens: code(24576, `${SCRIPTS}: max_response_length of the longest stage`),
    'rewards.correct': paper(1, `${PAPER} section 2.2`),
    'rewards.wrong': paper(0, `${PAPER} section 2.2`),
    'rewards.truncated': code(0, 'fastcurl/rewards/math_reward.py: no closed thought, no reward'),
    'advantage.kind': paper('group', `${PAPER} section 2.3`),
    'advantage.std': code('sample', `${VERL}: ddof 1`),
    'advantage.eps': code(1e-6, VERL),
    'loss.kind': code('clip', `${VERL}; the paper writes the ratio of a whole response`),
    'loss.clipLow': code(0.2, VERL),
    'loss.clipHigh': code(0.2, VERL),
    'loss.entropyBonus': code(0.001, `${VERL}: its default, not set in the scripts`),
    aggregation: code('token-mean', `${VERL}: masked mean`),
    oldLogprobs: code('trainer', VERL),
    'kl.placement': code('loss', `${SCRIPTS}: use_kl_loss`),
    'kl.estimator': code('k3', `${SCRIPTS}: low_var_kl`),
    'kl.coefficient': code(0.001, `${SCRIPTS}: kl_loss_coef`),
    'kl.schedule': code('constant', SCRIPTS),
    'kl.reference.kind': paper('fixed', `${PAPER}: reset at each stage's start (curriculum.stages)`),
    'curriculum.stages': paper(STAGES, `${PAPER} Table 3, experiment 6; lengths: README`),
    'optimizer.lr': code(1e-6, SCRIPTS),
    'optimizer.weightDecay': code(0.01, VERL),
    'optimizer.warmupUpdates': absent(0),
  },
  presets: {
    paper: {},
    mini: { ...MINI_RL, 'curriculum.stages': assumed(MINI_STAGES, 'the order of the paper, sized for a laptop') },
  },
});
