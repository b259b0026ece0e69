import { HoneError, messageOf } from '../core/index.js';
import type { Problem, Response, Task, Verdict } from '../tasks/index.js';

/** @throws HoneError interrupted when the signal has fired. */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new HoneError('interrupted', 'evaluation stopped before it was complete', {
    hint: 'Run the same command again; answers in a cache are not asked for again.',
    cause: signal.reason,
  });
}

/** A grader's failure is the grader's, not the response's; an interruption is neither. */
export async function gradeAttempt(
  task: Task,
  problem: Problem,
  response: Response,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  try {
    return await task.grade(problem, response, signal ? { signal } : {});
  } catch (error) {
    stopIfAsked(signal);
    return { status: 'no_verdict', score: 0, cause: 'grader', reason: `the grader failed: ${messageOf(error)}` };
  }
}
