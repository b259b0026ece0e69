import { createContext, Script } from 'node:vm';
import { HoneError } from '../core/index.js';
import { errorCode } from '../formats/index.js';

const context: { run?: () => void } = createContext({});
const script = new Script('run()');

/**
 * Calls `work` and stops it after `milliseconds`. The clock of node:vm interrupts any JavaScript running in this
 * thread, regular expressions that backtrack without end included (0.1 ms per call).
 * It bounds time alone: memory is not bounded, and what `work` allocates counts against the process.
 * @throws HoneError('input', `${what} took longer than ...`) when the time is up; whatever `work` throws.
 */
export function withTimeLimit<T>(milliseconds: number, what: string, hint: string, work: () => T): T {
  const outcome: { value?: T } = {};
  const outer = context.run;
  context.run = () => {
    outcome.value = work();
  };
  try {
    script.runInContext(context, { timeout: milliseconds });
  } catch (error) {
    if (errorCode(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new HoneError('input', `${what} took longer than ${milliseconds} ms`, { hint });
  } finally {
    context.run = outer;
  }
  return outcome.value as T;
}
