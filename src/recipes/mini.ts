import type { RlConfig } from '../rl/index.js';
import type { RecipeValues } from './types.js';

const LAPTOP = 'sized for a laptop CPU and a model of about a million parameters';

/** Sizes of an RL run of minutes on a laptop CPU; objectives stay those of the recipe. */
export const MINI_RL = {
  iterations: { value: 40, source: LAPTOP, status: 'assumed' },
  promptsPerIteration: { value: 64, source: LAPTOP, status: 'assumed' },
  groupSize: { value: 8, source: LAPTOP, status: 'assumed' },
  updatesPerIteration: { value: 4, source: `${LAPTOP}: several updates make more of each sample`, status: 'assumed' },
  sequencesPerUpdate: { value: null, source: 'updatesPerIteration decides', status: 'assumed' },
  maxTokens: { value: 128, source: LAPTOP, status: 'assumed' },
  'overlong.soft.maxTokens': {
    ...{ value: 128, source: 'maxTokens', status: 'assumed' },
    follows: { path: 'maxTokens', ratio: 1 },
  },
  'overlong.soft.cacheTokens': {
    ...{ value: 26, source: 'a fifth of maxTokens, as 4,096 of 20,480 in DAPO', status: 'assumed' },
    follows: { path: 'maxTokens', ratio: 0.2 },
  },
  oldLogprobs: {
    ...{
      value: 'sampler',
      source: 'saves a pass; sampler and trainer agree to 1e-4 in this engine',
      status: 'assumed',
    },
  },
  'dynamicSampling.promptsPerBatch': { value: null, source: LAPTOP, status: 'assumed' },
  'dynamicSampling.onLimit': { value: 'train', source: 'a short run goes on with what it has', status: 'assumed' },
  'dynamicSampling.maxBatches': { value: 3, source: LAPTOP, status: 'assumed' },
  'optimizer.lr': {
    value: 3e-4,
    source: 'the rate of every RL run in experiments/LOG.md; no other was compared',
    status: 'assumed',
  },
  'optimizer.beta2': { value: 0.99, source: 'short runs: a shorter memory', status: 'assumed' },
  'optimizer.weightDecay': { value: 0, source: 'short runs', status: 'assumed' },
  'optimizer.warmupUpdates': { value: 8, source: 'two iterations', status: 'assumed' },
} satisfies Partial<RecipeValues<RlConfig>>;
