/** Rewards made of verdicts, lengths and other signals. All pure; what was seen in a response comes in as numbers and booleans. */
export { baseReward } from './shaping/base.js';
export {
  rlspCorrectness,
  rlspLengthTerm,
  rlspReward,
  type RlspAnswer,
  type RlspRewardOptions,
} from './shaping/exploration.js';
export { qsKeeps, rraReward, rrlReward, rsPair } from './shaping/length-rewards.js';
export { overlongFilter, softOverlongPunishment } from './shaping/overlong.js';
export { missingAnswerPenalty, penalised, type UnexpectedPatterns } from './shaping/penalties.js';
export {
  EMPTY_MOMENTS,
  normaliseReward,
  normalisingScale,
  runningMomentsSchema,
  updateMoments,
  type RunningMoments,
} from './shaping/running-moments.js';
