import { z } from 'zod';
import type { CodeExecutor, Execution, FunctionTool } from './tools.js';

/** How a run of a program ended, as hone's sandboxes say it (hone/tasks, `runPython`). */
export interface PythonRun {
  outcome: 'finished' | 'exception' | 'limit' | 'fault';
  stdout: string;
  /** One line: the exception, the limit, the fault. */
  error?: string;
}

export type RunPython = (code: string, options: { signal?: AbortSignal }) => Promise<PythonRun>;

/** A sandbox as what the tool loops run programs in. A fault of the sandbox is told to the model as an error too. */
export function pythonExecutor(name: string, run: RunPython): CodeExecutor {
  return {
    name,
    run: async (code, options): Promise<Execution> => {
      const { outcome, stdout, error } = await run(code, options);
      return outcome === 'finished' ? { stdout } : { stdout, error: error ?? outcome };
    },
  };
}

const given = z.looseObject({ code: z.string() });

/** Python as a function that a model may call: what it printed, and the error if there was one. */
export function pythonFunction(executor: CodeExecutor, maxOutput: number): FunctionTool {
  return {
    name: 'python',
    description: 'Runs a Python program and returns what it printed. Nothing is kept from one call to the next.',
    parameters: {
      type: 'object',
      properties: { code: { type: 'string', description: 'The whole program; print what you want to know.' } },
      required: ['code'],
    },
    run: async (asked, options) => {
      const { code } = given.parse(asked);
      const { stdout, error } = await executor.run(code, options);
      const said = error === undefined ? stdout : `${stdout}${error}\n`;
      return said.length <= maxOutput ? said : `${said.slice(0, maxOutput)}... (cut)\n`;
    },
  };
}
