export type {
  CallResult,
  CodeLimits,
  CodeRunner,
  Containment,
  LimitName,
  LoadResult,
  Outcome,
  Program,
  RunRequest,
  RunResult,
} from './types.js';
export { DEFAULT_CODE_LIMITS, codeLimitsSchema } from './limits.js';
export { EmbeddedRunner, type EmbeddedOptions } from './embedded.js';
export { embeddedRunner, runPython, type RunPythonOptions } from './run-python.js';
export { sameOutput } from './compare-output.js';
export { extractProgram, type ExtractedProgram } from './extract.js';
export { CODE_GRADER_VERSION, gradeProgram, testProgram, type CodeGradeOptions } from './grade.js';
export { Harness, type PythonTests, type TestReport } from './harness.js';
export { humanEvalTask, mbppTask } from './presets.js';
export { pythonTests, testSuiteSchema, type TestSuite } from './suites.js';
export { codeTask, codeTaskOptions, type CodeDataset, type CodeProblem, type CodeTaskOptions } from './task.js';
