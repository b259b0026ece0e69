import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, paper } from './values.js';

const PAPER = 'T1, arXiv 2501.11651';
const UNKNOWN = `not known: ${PAPER} was read through notes of others, and there is no training code`;

const noClip = { path: 'loss.kind', values: ['policy-gradient'] };

/**
 * REINFORCE with a leave-one-out baseline over many samples at a high temperature, an entropy bonus, and a KL to a moving
 * anchor. Warm-start on demonstrations of trial and error first (`hone train sft --style search`).
 */
export const t1 = defineRecipe({
  name: 't1',
  title: 'T1: over-sampling at high temperature, leave-one-out, penalties, entropy bonus, moving anchor',
  system: 'T1 (arXiv 2501.11651), as far as it is known: no training code',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'exactEntropy', 'weightAveraging', 'minP'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: assumed(1000, UNKNOWN),
    promptsPerIteration: paper(32, `${PAPER}: an update for every 32 prompts`),
    groupSize: paper(64, `${PAPER}: K`),
    updatesPerIteration: assumed(1, UNKNOWN),
    epochs: assumed(1, UNKNOWN),
    temperature: paper(1.2, `${PAPER}: the best of 0.9, 1.1, 1.2, 1.3`),
    trainingTemperature: assumed(null, `${UNKNOWN}; on-policy gradients need the temperature of sampling`),
    minP: paper(0.05, `${PAPER}: with temperature 1.2`),
    maxTokens: paper(10240, `${PAPER}: 9B and 14B`),
    'rewards.correct': paper(1, PAPER),
    'rewards.wrong': paper(0, PAPER),
    'shaping.penalties.enabled': paper(true, `${PAPER}: unexpected patterns`),
    'shaping.penalties.value': paper(-1, PAPER),
    'shaping.penalties.repetition.ngram': assumed(20, UNKNOWN),
    'shaping.penalties.repetition.share': assumed(0.2, UNKNOWN),
    'shaping.penalties.garbage': paper(true, `${PAPER}; here by mixed scripts, not by a perplexity filter`),
    'shaping.penalties.overlong': paper(true, PAPER),
    'advantage.kind': paper('leave-one-out', PAPER),
    'loss.kind': assumed('policy-gradient', UNKNOWN),
    'loss.clipLow': { ...assumed(0.2, 'policy-gradient has no clip'), unreadWhile: noClip },
    'loss.clipHigh': { ...assumed(0.2, 'policy-gradient has no clip'), unreadWhile: noClip },
    'loss.entropyBonus': assumed(0.001, UNKNOWN),
    aggregation: assumed('sequence-mean-token-mean', UNKNOWN),
    oldLogprobs: assumed('trainer', 'min-p at a temperature: the sampler reports filtered logprobs alone'),
    'kl.placement': paper('reward', PAPER),
    'kl.estimator': assumed('k1', UNKNOWN),
    'kl.coefficient': paper(2e-4, `${PAPER}: beta`),
    'kl.schedule': paper('constant', PAPER),
    'kl.perResponse': paper(true, `${PAPER}: on-policy KL normalisation`),
    'kl.reference.kind': paper('averaged', `${PAPER}: dynamic anchor`),
    'kl.reference.every': assumed(1, UNKNOWN),
    'kl.reference.keep': assumed(0.99, UNKNOWN),
    'optimizer.lr': paper(1.5e-6, PAPER),
    'optimizer.weightDecay': assumed(0, UNKNOWN),
    'optimizer.warmupUpdates': assumed(0, UNKNOWN),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      promptsPerIteration: assumed(16, 'as many responses as the recipes with groups of 8'),
      groupSize: assumed(16, 'K as large as the budget allows'),
      temperature: paper(1.2, `${PAPER}: the best of 0.9, 1.1, 1.2, 1.3`),
      updatesPerIteration: assumed(1, 'on-policy'),
      iterations: assumed(16, 'one update an iteration: more of them'),
      'optimizer.warmupUpdates': assumed(2, 'short runs'),
      oldLogprobs: assumed('trainer', 'min-p at a temperature: the sampler reports filtered logprobs alone'),
      'kl.reference.keep': assumed(0.9, 'an anchor that moves within the few iterations there are'),
    },
  },
});
