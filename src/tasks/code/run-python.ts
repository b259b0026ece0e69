import { EmbeddedRunner } from './embedded.js';
import type { CodeLimits, CodeRunner, RunResult } from './types.js';

let shared: EmbeddedRunner | undefined;

/** The embedded runner that this process shares: processes that stand ready serve whoever asks next. */
export const embeddedRunner = (): EmbeddedRunner => (shared ??= new EmbeddedRunner());

export interface RunPythonOptions {
  stdin?: string;
  limits?: Partial<CodeLimits>;
  signal?: AbortSignal;
  /** Where to run; default: the shared embedded runner. */
  runner?: CodeRunner;
}

/**
 * Runs a Python program in a sandbox and gives back what it printed and how it ended. Whatever the program does, this
 * does not throw; `outcome: 'fault'` says that the sandbox failed and the program is not to blame.
 * @example
 * const { outcome, stdout } = await runPython('print(6 * 7)'); // finished, '42\n'
 * @throws HoneError resource when pyodide is not installed.
 */
export function runPython(code: string, options: RunPythonOptions = {}): Promise<RunResult> {
  const { runner = embeddedRunner(), ...rest } = options;
  return runner.run({ code, ...rest });
}
