export { groupAdvantages, type GroupAdvantageOptions } from './advantages.js';
export { AGGREGATIONS, tokenWeights, type Aggregation } from './aggregation.js';
export { modelLength, modelMask, type Attempt, type Group } from './attempt.js';
export { hasFilters, parseRlConfig, rlConfigSchema, trainingTemperature, type RlConfig, type Stage } from './config.js';
export { isMixed, nextMove, type DynamicSamplingLimits } from './dynamic-sampling.js';
export {
  clippedSurrogate,
  clippedSurrogateToken,
  importanceSampling,
  ppoClip,
  surrogateAtRatioOne,
  type ClipBounds,
  type SurrogateOptions,
  type TokenLoss,
} from './losses.js';
export { MISSING_REASONS, missingReason, missingRewardAccount, type MissingReason } from './missing-reward.js';
export { renderingOf, type Rendering } from './rendering.js';
export { baseReward, softOverlongPunishment } from './shaping.js';
export type { Validation } from '../engine/training-run.js';
export { trainRl, type TrainRlOptions, type TrainRlResult } from './trainer.js';
