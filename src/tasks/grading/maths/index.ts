export { compareAnswers, type AnswerComparison, type CompareOptions, type DecidedBy } from './answers.js';
export { DEFAULT_RULES, type CompareRules } from './rules.js';
export { findAnswer, goldReadings, spokenPart, type AnswerPlace, type Found, type ThinkingRule } from './extract.js';
export { gradeMaths, markedPlaces, type GradeOptions, type MathsVerdict } from './grade.js';
export { DEFAULT_LIMITS, type MathsLimits } from './limits.js';
export { minervaForm } from './minerva.js';
export { parseMaths } from './parser.js';
export { DEFAULT_PROFILE, MATHS_GRADER_VERSION, MATHS_PROFILES, type MathsProfile } from './profiles.js';
export { explainMaths, goldReply, type Explanation } from './explain.js';
