import type { RlConfig } from '../rl/index.js';
import type { RecipeValues } from './types.js';
import { assumed } from './values.js';

const LAPTOP = 'sized for a laptop CPU and a model of about a million parameters';

/** Sizes of an RL run of a minute or two on a laptop CPU; objectives stay those of the recipe. */
export const MINI_RL = {
  iterations: assumed(12, LAPTOP),
  promptsPerIteration: assumed(32, LAPTOP),
  groupSize: assumed(8, LAPTOP),
  updatesPerIteration: assumed(2, `${LAPTOP}: more than one update makes more of each sample`),
  temperature: assumed(1, 'the temperature of the warm-start'),
  maxTokens: assumed(128, LAPTOP),
  'overlong.soft.maxTokens': { ...assumed(128, 'maxTokens'), follows: { path: 'maxTokens', ratio: 1 } },
  'overlong.soft.cacheTokens': {
    ...assumed(26, 'a fifth of maxTokens, as 4,096 of 20,480 in DAPO'),
    follows: { path: 'maxTokens', ratio: 0.2 },
  },
  oldLogprobs: assumed('sampler', 'saves a pass; sampler and trainer agree to 1e-4 in this engine'),
  'dynamicSampling.promptsPerBatch': assumed(null, LAPTOP),
  'dynamicSampling.onLimit': assumed('train', 'a short run goes on with what it has'),
  'dynamicSampling.maxBatches': assumed(3, LAPTOP),
  'optimizer.lr': assumed(3e-4, 'the rate of every RL run in experiments/LOG.md; no other was compared'),
  'optimizer.beta2': assumed(0.99, 'short runs: a shorter memory'),
  'optimizer.weightDecay': assumed(0, 'short runs'),
  'optimizer.warmupUpdates': assumed(4, 'two iterations'),
  'validation.every': assumed(0, 'short runs: hone eval measures before and after'),
} satisfies Partial<RecipeValues<RlConfig>>;

/** The critic of such a run: a rate that lets it follow the policy. */
export const MINI_CRITIC = {
  'critic.updatesPerIteration': assumed(2, 'as the policy'),
  'critic.lossCoefficient': assumed(0.5, 'a quarter of the squared error: the clip to norm 1 acts less'),
  'critic.optimizer.lr': assumed(1e-3, LAPTOP),
  'critic.optimizer.beta2': assumed(0.99, 'short runs: a shorter memory'),
  'critic.optimizer.weightDecay': assumed(0, 'short runs'),
  'critic.optimizer.warmupUpdates': assumed(2, 'short runs'),
} satisfies Partial<RecipeValues<RlConfig>>;
