export {
  cap,
  clamp,
  gate,
  greatest,
  least,
  product,
  sigmoid,
  signal,
  weighted,
  type Asked,
  type Leaf,
  type Reading,
  type Signal,
  type SignalLike,
} from './algebra.js';
export { actionEffort, rlspLength, rlspLengthTerm, searchEffort, type SearchMarks } from './effort.js';
export { evaluateSignal, signalGrader, type Evaluated, type SignalGraderOptions } from './evaluate.js';
export { formatCheck, FORMATS, type FormatReport, type FormatRules } from './format.js';
export { formulaOf } from './formula.js';
export { garbagePatterns, perplexity, type Garbageable, type GarbageLimits, type GarbagePattern } from './garbage.js';
export {
  correctnessMessages,
  effortMessages,
  fenced,
  judgeSignal,
  type JudgeModel,
  type JudgeOptions,
  type JudgeTurn,
} from './judge.js';
export {
  KEYWORD_LISTS,
  reflectionKeywords,
  type KeywordCounts,
  type KeywordList,
  type KeywordListName,
} from './keywords.js';
export { languageMixing, unreadableShare, type LanguageMix, type Script } from './language.js';
export { cosineLengthReward, lengthBand, responseLength, type CosineRewards } from './length.js';
export { repetitionShare, suffixRepetition } from './repetition.js';
export {
  REWARD_FORMATS,
  rewardModelSignal,
  type RewardFormat,
  type RewardFormatName,
  type RewardModelOptions,
} from './reward-model.js';
export {
  answerSignal,
  cleanSignal,
  formatSignal,
  keywordSignal,
  lengthSignal,
  mixingSignal,
  repetitionSignal,
} from './sources.js';
export { textUnits, type Units } from './units.js';
