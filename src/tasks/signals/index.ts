export { actionEffort, rlspLength, rlspLengthTerm, searchEffort, type SearchMarks } from './effort.js';
export { formatCheck, FORMATS, type FormatReport, type FormatRules } from './format.js';
export { garbagePatterns, perplexity, type Garbageable, type GarbageLimits, type GarbagePattern } from './garbage.js';
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
export { textUnits, type Units } from './units.js';
