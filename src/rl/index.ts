export * from './advantages.js';
export { AGGREGATIONS, tokenWeights, type Aggregation } from './aggregation.js';
export { modelLength, modelMask, type Attempt, type Group } from './attempt.js';
export { hasFilters, parseRlConfig, rlConfigSchema, trainingTemperature, type RlConfig, type Stage } from './config.js';
export { decided, nextRollouts, type Collected, type Collecting } from './collect.js';
export {
  evaluateCritic,
  monteCarloTargets,
  trainCritic,
  valuesOf,
  type CriticClock,
  type CriticResponse,
  type GradedGroup,
  type TaughtResponse,
  type TrainCriticOptions,
} from './critic.js';
export { FIRST_STAGE, slope, stageAfter, stageAt, stageEnds, type StageEnd, type StageState } from './curriculum.js';
export { diagnose, diagnosisLine, type Diagnosis, type DiagnosisOptions, type Outcome } from './diagnosis.js';
export { hasSpread, isMixed, nextMove, type DynamicSamplingLimits } from './dynamic-sampling.js';
export * from './kl.js';
export * from './losses.js';
export { MISSING_REASONS, missingReason, missingRewardAccount, type MissingReason } from './missing-reward.js';
export { engineNeeds } from './needs.js';
export { renderingOf, type Rendering } from './rendering.js';
export { idleShare, keywordShares } from './monitors.js';
export { rewardOf, type Reward, type Rewardable } from './rewards.js';
export { EMPTY_MEMORY, memoryFromJson, memoryToJson, type RolloutMemory } from './rollout-memory.js';
export * from './shaping.js';
export { meanPromptLength, stageProblems, type StageData } from './stage-data.js';
export { Course, planStages, stageConfig, type Stretch } from './stages.js';
export type { Validation } from '../engine/training-run.js';
export { trainRl, type TrainRlOptions, type TrainRlResult } from './trainer.js';
export * from './value-metrics.js';
