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
export { EmbeddedRunner } from './embedded.js';
export type { GuestOptions } from './guest-runner.js';
export { NativeRunner } from './native.js';
export { RemoteRunner, type RemoteOptions } from './remote.js';
export { containmentOf } from './containment.js';
export { INSTALL_PYODIDE, pyodideFolder } from './image.js';
export { embeddedRunner, runPython, type RunPythonOptions } from './run-python.js';
export { sameOutput } from './compare-output.js';
export { extractProgram, type ExtractedProgram } from './extract.js';
export { CODE_GRADER_VERSION, gradeProgram, testProgram, type CodeGradeOptions } from './grade.js';
export { Harness, type PythonTests, type TestReport } from './harness.js';
export { HUMANEVAL, humanEvalTask, MBPP, mbppTask } from './presets.js';
export { pythonTests, testSuiteSchema, type TestSuite } from './suites.js';
export { codeTask, codeTaskOptions, type CodeDataset, type CodeProblem, type CodeTaskOptions } from './task.js';
