import type { RlConfig } from '../rl/index.js';
import type { RecipeValues } from './types.js';
import { absent, assumed, code, unread } from './values.js';

const noCritic = unread('advantage.kind', 'group', 'leave-one-out', 'reinforce++', 'reinforce++-baseline');
const noDiscount = unread('advantage.kind', 'group', 'leave-one-out', 'reinforce++-baseline');
const noExploration = unread('shaping.exploration.enabled', false);
const noPenalties = unread('shaping.penalties.enabled', false);
const noKl = unread('kl.placement', 'off');
const noAverage = unread('kl.reference.kind', 'fixed', 'replaced');
const noMoving = unread('kl.reference.kind', 'fixed');
const noDynamic = unread('dynamicSampling.enabled', false);
const noOverlong = unread('overlong.soft.enabled', false);
const noDeviation = unread('advantage.kind', 'gae', 'leave-one-out', 'reinforce++', 'reinforce++-baseline');

/**
 * Parts that a recipe does not have, switched off. Spread first, so that a recipe states what it has after it. Options
 * that an off switch leaves unread hold the value of the system that knows them.
 */
export const RL_OFF = {
  trainingTemperature: assumed(null, 'the sampling temperature, as in verl'),
  topP: absent(null),
  topK: absent(null),
  minP: absent(null),
  sequencesPerUpdate: {
    ...assumed(null, 'updatesPerIteration decides'),
    unreadWhile: { path: 'sequencesPerUpdate', values: [null] },
  },
  'environment.maxTurns': absent(1),
  'environment.maxTokensPerTurn': unread('environment.maxTurns', 1)(null),
  'pipeline.lag': absent(0),
  'pipeline.importanceCap': absent(null),
  'overlong.soft.enabled': absent(false),
  'overlong.soft.maxTokens': { ...noOverlong(20480), follows: { path: 'maxTokens', ratio: 1 } },
  'overlong.soft.cacheTokens': { ...noOverlong(4096), follows: { path: 'maxTokens', ratio: 0.2 } },
  'overlong.soft.factor': noOverlong(1),
  'overlong.filter': absent(false),
  'rewards.noAnswer': absent(null),
  'rewards.truncated': absent(null),
  'shaping.exploration.enabled': absent(false),
  'shaping.exploration.lengthScale': noExploration(1000),
  'shaping.exploration.weight': noExploration(0.8),
  'shaping.exploration.effortWeight': noExploration(0.2),
  'shaping.penalties.enabled': absent(false),
  'shaping.penalties.value': noPenalties(-1),
  'shaping.penalties.repetition.ngram': noPenalties(20),
  'shaping.penalties.repetition.share': noPenalties(0.2),
  'shaping.penalties.garbage': noPenalties(true),
  'shaping.penalties.overlong': noPenalties(true),
  'shaping.length': absent('none'),
  'shaping.normalize': absent('none'),
  'shaping.clip': absent(null),
  'advantage.std': noDeviation('sample'),
  'advantage.eps': noDeviation(1e-6),
  'advantage.gamma': noDiscount(1),
  'advantage.lambda': noCritic(1),
  'advantage.lambdaCritic': noCritic(1),
  'advantage.lengthAdaptiveAlpha': noCritic(null),
  'advantage.whiten': absent(false),
  'critic.init': noCritic('policy'),
  'critic.updatesPerIteration': noCritic(1),
  'critic.order': noCritic('before'),
  'critic.valueClip': noCritic(null),
  'critic.lossCoefficient': noCritic(1),
  'critic.bootstrapTruncated': noCritic(false),
  'critic.pretrain.iterations': noCritic(0),
  'critic.pretrain.stopAtExplainedVariance': noCritic(null),
  'critic.freezePolicyIterations': noCritic(0),
  'critic.optimizer.lr': noCritic(1e-5),
  'critic.optimizer.beta1': noCritic(0.9),
  'critic.optimizer.beta2': noCritic(0.999),
  'critic.optimizer.eps': noCritic(1e-8),
  'critic.optimizer.weightDecay': noCritic(0),
  'critic.optimizer.gradClipNorm': noCritic(1),
  'critic.optimizer.warmupUpdates': noCritic(0),
  'critic.optimizer.schedule': noCritic('constant'),
  'critic.optimizer.finalLrFraction': noCritic(1),
  'loss.dualClip': absent(null),
  'loss.entropyBonus': absent(0),
  'loss.positiveNll': absent(0),
  'kl.placement': absent('off'),
  'kl.estimator': noKl('k3'),
  'kl.coefficient': noKl(0),
  'kl.schedule': noKl('constant'),
  'kl.finalCoefficient': unread('kl.schedule', 'constant')(0),
  'kl.perResponse': noKl(false),
  'kl.reference.kind': noKl('fixed'),
  'kl.reference.every': noMoving(1),
  'kl.reference.keep': noAverage(0.99),
  'dynamicSampling.enabled': absent(false),
  'dynamicSampling.metric': noDynamic('accuracy'),
  'dynamicSampling.promptsPerBatch': noDynamic(null),
  'dynamicSampling.maxBatches': noDynamic(10),
  'dynamicSampling.excess': noDynamic('discard'),
  'dynamicSampling.onLimit': noDynamic('error'),
  'curriculum.stages': absent(null),
  'monitors.startKl': absent(false),
  'control.shuffledReward': absent(false),
  'control.zeroAdvantage': absent(false),
} satisfies Partial<RecipeValues<RlConfig>>;

/** What decides how a run is kept and watched, not what it learns. */
export const HOUSEKEEPING = {
  maxSkippedUpdates: assumed(5, 'a safeguard of ours'),
  'validation.every': assumed(10, 'our cadence'),
  'validation.problems': assumed(100, 'our choice: a standard error of at most 5 points'),
  'checkpoint.every': assumed(10, 'our cadence'),
  'checkpoint.keep': assumed(2, 'our retention'),
} satisfies Partial<RecipeValues<RlConfig>>;

/** AdamW as frameworks set it where a paper gives the rate alone. */
export const ADAMW = {
  'optimizer.beta1': code(0.9, 'PyTorch AdamW'),
  'optimizer.beta2': code(0.999, 'PyTorch AdamW'),
  'optimizer.eps': code(1e-8, 'PyTorch AdamW'),
  'optimizer.gradClipNorm': assumed(1, 'the usual norm: verl, OpenRLHF'),
  'optimizer.schedule': assumed('constant', 'a constant rate'),
  'optimizer.finalLrFraction': unread('optimizer.schedule', 'constant')(1),
} satisfies Partial<RecipeValues<RlConfig>>;

/** The same of a critic. */
export const CRITIC_ADAMW = {
  'critic.optimizer.beta1': code(0.9, 'PyTorch AdamW'),
  'critic.optimizer.beta2': code(0.999, 'PyTorch AdamW'),
  'critic.optimizer.eps': code(1e-8, 'PyTorch AdamW'),
  'critic.optimizer.weightDecay': assumed(0, 'not stated'),
  'critic.optimizer.gradClipNorm': assumed(1, 'as the policy'),
  'critic.optimizer.warmupUpdates': assumed(0, 'not stated'),
  'critic.optimizer.schedule': assumed('constant', 'a constant rate'),
} satisfies Partial<RecipeValues<RlConfig>>;
