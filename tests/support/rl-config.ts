import type { RlConfig } from '../../src/rl/index.js';

const OPTIMIZER: RlConfig['optimizer'] = {
  ...{ lr: 0.03, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 },
  ...{ warmupUpdates: 0, schedule: 'constant', finalLrFraction: 0 },
};

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
    trainingTemperature: null,
    maxTokens: 4,
    environment: { maxTurns: 1, maxTokensPerTurn: null },
    pipeline: { lag: 0, importanceCap: null },
    overlong: { soft: { enabled: false, maxTokens: 4, cacheTokens: 2, factor: 1 }, filter: false },
    rewards: { correct: 1, wrong: 0, noAnswer: null, truncated: null },
    shaping: {
      exploration: { enabled: false, lengthScale: 10, weight: 0.8, effortWeight: 0.2 },
      penalties: {
        ...{ enabled: false, value: -1, repetition: { ngram: 2, share: 0.2 }, garbage: true, overlong: true },
      },
      ...{ length: 'none', normalize: 'none', clip: null },
    },
    advantage: {
      ...{ kind: 'group', std: 'sample', eps: 1e-6, gamma: 1, lambda: 1, lambdaCritic: 1 },
      ...{ lengthAdaptiveAlpha: null, whiten: false },
    },
    critic: {
      ...{ init: 'policy', updatesPerIteration: 1, order: 'before', valueClip: null, lossCoefficient: 0.5 },
      bootstrapTruncated: false,
      pretrain: { iterations: 0, stopAtExplainedVariance: null },
      freezePolicyIterations: 0,
      optimizer: { ...OPTIMIZER },
    },
    loss: { kind: 'clip', clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0, positiveNll: 0 },
    aggregation: 'token-mean',
    oldLogprobs: 'sampler',
    kl: {
      ...{ placement: 'off', estimator: 'k3', coefficient: 0.1, schedule: 'constant', finalCoefficient: 0 },
      perResponse: false,
      reference: { kind: 'fixed', every: 1, keep: 0.9 },
    },
    dynamicSampling: {
      ...{ enabled: false, metric: 'accuracy', promptsPerBatch: null, maxBatches: 5, excess: 'discard' },
      onLimit: 'train',
    },
    curriculum: { stages: null },
    optimizer: { ...OPTIMIZER },
    monitors: { startKl: false },
    maxSkippedUpdates: 3,
    validation: { every: 0, problems: 10 },
    checkpoint: { every: 2, keep: 2 },
    control: { shuffledReward: false, zeroAdvantage: false },
    ...changes,
  };
}
