export * from './types.js';
export { ANSWER_RULES, extractAnswer, type AnswerPolicy, type AnswerRule, type ExtractedAnswer } from './answers.js';
export { arithmeticTask, type ArithmeticOptions } from './arithmetic.js';
export { benchmarkOf, fingerprint } from './benchmarks.js';
export { calculate, calculatorTask, type CalculatorOptions } from './calculator.js';
export * from './code/index.js';
export { countdownTask, type CountdownOptions } from './countdown.js';
export { datasetTask, gradeAnswer, type DatasetOptions, type DatasetReport, type DatasetTask } from './dataset.js';
export { PROMPT_TEMPLATES, type PromptTemplate } from './templates/index.js';
export {
  difficultyRowSchema,
  isOfLevel,
  readPassRates,
  type DifficultyRow,
  type Level,
  type LevelModels,
  type PassRates,
} from './difficulty.js';
export {
  episodeResponse,
  episodeTokens,
  playEpisodes,
  segmentsOf,
  type Episode,
  type EpisodeCodec,
  type EpisodeHooks,
  type EpisodeLimits,
  type EpisodePart,
  type EpisodeStart,
} from './episodes.js';
export { defineTask, type TaskDefinition } from './define.js';
export {
  compareAnswers,
  DEFAULT_LIMITS,
  DEFAULT_PROFILE,
  DEFAULT_RULES,
  explainMaths,
  goldReply,
  gradeMaths,
  MATHS_PROFILES,
  type AnswerComparison,
  type Explanation,
  type CompareOptions,
  type CompareRules,
  type GradeOptions,
  type MathsLimits,
  type MathsProfile,
  type MathsVerdict,
} from './grading/maths/index.js';
export {
  agreementByKind,
  agrees,
  gradePair,
  pairSchema,
  profileNamed,
  type KindAgreement,
  type Pair,
} from './grading/pairs.js';
export { readRows, type Row } from './rows.js';
export { holdOut, type HeldOut } from './hold-out.js';
export { lastDigitSkills, lastDigitTask, type LastDigitOptions, type LastDigitSkills } from './last-digit.js';
export { loadTask } from './load.js';
export { gradeNumeric, normalizeText, parseNumber, type Comparison, type Grader } from './numeric.js';
export { pathTask, type PathOptions } from './path.js';
export { gsm8kTask, mathTask } from './presets.js';
export { listTasks, type TaskEntry } from './registry.js';
export {
  codecOf,
  renderDemonstration,
  renderEnvironment,
  renderPrompt,
  responseText,
  stopsOf,
  type RenderModel,
} from './render.js';
export * from './signals/index.js';
export { drawnSource, splitOf, type Draft } from './split.js';
export { gradeGold, validateTask, type Validation, type ValidationFailure } from './validate.js';
export { correct, noVerdict, wrong } from './verdicts.js';
