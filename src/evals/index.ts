export { evaluate, type EvalResult, type EvaluateOptions } from './evaluate.js';
export {
  averageAtK,
  majority,
  mean,
  pairedDifference,
  passAtK,
  studentT95,
  wilson,
  type Estimate,
  type Interval,
  type Vote,
} from './stats.js';
export { summarize, type EvalRow, type EvalSummary, type OutcomeCounts } from './summary.js';
