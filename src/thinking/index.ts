export * from './types.js';
export { callsOf, totals, withoutTiming } from './call.js';
export { direct } from './direct.js';
export { multiRound, type MultiRoundOptions, type ShownAnswer } from './multi-round.js';
export { bestOfN, meanLogprob, selfConsistency, type BestOfNOptions, type Scorer, type VoteOptions } from './votes.js';
export { sift, type SiftOptions } from './sift.js';
export { cleanSticker } from './sticker.js';
export { opencompassAnswer, opencompassEquivalent } from './opencompass.js';
export { budgetForcing, S1_MARKERS, type BudgetForcingOptions } from './budget-forcing.js';
export {
  truncation,
  truncationProbe,
  type Answerer,
  type TruncationOptions,
  type TruncationPoint,
} from './truncation.js';
export {
  codeTool,
  functionTools,
  scriptedExecutor,
  type CodeExecutor,
  type CodeToolOptions,
  type Execution,
  type FunctionTool,
} from './tools.js';
export { AGAIN_PROMPT, fillSlots, siftPrompts } from './prompts/index.js';
export { pythonExecutor, pythonFunction, type PythonRun, type RunPython } from './python.js';
export { methodNames, parseMethod, runsPrograms, type MethodOutside } from './registry.js';
export { startServer, type RequestLimits, type RunningServer, type ServeOptions } from './server/index.js';
