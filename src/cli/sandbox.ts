import { runPython } from '../tasks/index.js';
import { type CodeExecutor, type Method, parseMethod, pythonExecutor, runsPrograms } from '../thinking/index.js';

/** Seconds that a program of a model may take, as STILL-3's tool loop bounds them. */
const SECONDS = 10;

/** The embedded sandbox: Python in WebAssembly, a process for every program. */
function sandbox(): CodeExecutor {
  const limits = { cpuSeconds: SECONDS, wallSeconds: 3 * SECONDS };
  return pythonExecutor('embedded', (code, options) => runPython(code, { ...options, limits }));
}

/** A method from text, with a sandbox where it runs programs. @throws HoneError('usage') as parseMethod does. */
export const methodOf = (text: string): Method => parseMethod(text, runsPrograms(text) ? { executor: sandbox() } : {});
