import type { RlConfig } from '../../src/rl/index.js';

/** A small valid configuration for trainer tests. */
export function rlConfig(changes: Partial<RlConfig> = {}): RlConfig {
  return {
    iterations: 6,
    promptsPerIteration: 6,
    groupSize: 6,
    updatesPerIteration: 2,
    sequencesPerUpdate: null,
    epochs: 1,
    temperature: 1,
    topP: null,
    topK: null,
    minP: null,
    maxTokens: 4,
    overlong: { soft: { enabled: false, maxTokens: 4, cacheTokens: 2, factor: 1 }, filter: false },
    rewards: { correct: 1, wrong: 0 },
    advantage: { kind: 'group', std: 'sample', eps: 1e-6 },
    loss: { clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0 },
    aggregation: 'token-mean',
    oldLogprobs: 'sampler',
    dynamicSampling: { enabled: false, promptsPerBatch: null, maxBatches: 5, onLimit: 'train' },
    optimizer: {
      ...{ lr: 0.03, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 },
      ...{ warmupUpdates: 0, schedule: 'constant', finalLrFraction: 0 },
    },
    maxSkippedUpdates: 3,
    validation: { every: 0, problems: 10 },
    checkpoint: { every: 2, keep: 2 },
    control: { shuffledReward: false },
    ...changes,
  };
}
