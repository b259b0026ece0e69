export * from './advantages.js';
export { AGGREGATIONS, tokenWeights, type Aggregation } from './aggregation.js';
export { hasFilters, parseRlConfig, rlConfigSchema, type RlConfig } from './config.js';
export {
  evaluateCritic,
  monteCarloTargets,
  pretrainCritic,
  trainCritic,
  valuesOf,
  type CriticClock,
  type CriticResponse,
  type GradedGroup,
  type PretrainCriticOptions,
  type PretrainedCritic,
  type TaughtResponse,
  type TrainCriticOptions,
} from './critic.js';
export { isMixed, nextMove, type DynamicSamplingLimits } from './dynamic-sampling.js';
export * from './kl.js';
export * from './losses.js';
export { MISSING_REASONS, missingReason, missingRewardAccount, type MissingReason } from './missing-reward.js';
export { renderingOf, type Rendering } from './rendering.js';
export type { Attempt, Group } from './rollouts.js';
export * from './shaping.js';
export type { Validation } from '../engine/training-run.js';
export { trainRl, type TrainRlOptions, type TrainRlResult } from './trainer.js';
export * from './value-metrics.js';
