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
