export { evaluate, indicesOf, type EvalResult, type EvaluateOptions } from './evaluate.js';
export {
  averageAtK,
  majority,
  mean,
  pairedBootstrap,
  pairedDifference,
  passAtK,
  problemMean,
  studentT95,
  wilson,
  type Estimate,
  type Interval,
  type Vote,
} from './stats.js';
export { summarize, type EvalRow, type EvalSummary, type OutcomeCounts } from './summary.js';
export {
  evaluateSolver,
  type Attempt,
  type EvalTiming,
  type Solver,
  type SolveOptions,
  type SolveResult,
} from './solve.js';
export {
  compareResults,
  readResult,
  settingDifferences,
  writeResult,
  type ResultComparison,
  type SettingDifference,
  type StoredResult,
} from './result.js';
export {
  BENCHMARKS,
  benchmarkTask,
  dataFolder,
  fetchBenchmark,
  findAbsent,
  findBenchmark,
  listBenchmarks,
  ownTask,
  type Benchmark,
  type Dataset,
  type FetchBenchmarkOptions,
  type Measured,
  type Protocol,
} from './benchmarks/index.js';
export { usingPassRates, type PassRateFile, type PassRateFileOptions } from './pass-rate-file.js';
export { measurePassRates, type Indexed, type PassRateOptions, type PassRateResult } from './pass-rates.js';
export { renderEvalReport } from './report.js';
