import { HoneError, RandomStream } from '../core/index.js';
import type { Problem, Split, Task, Verdict } from './types.js';

export interface ValidationFailure {
  problem: Problem;
  response: string;
  verdict: Verdict;
}

export interface Validation {
  /** Gold texts graded. */
  checked: number;
  /** Problems for which the task knows neither a demonstration nor a gold response. */
  unvalidated: number;
  failures: ValidationFailure[];
}

/** What must grade correct: a straight demonstration, or the text that the gold answer gives. */
function goldText(task: Task, problem: Problem, random: RandomStream): string | undefined {
  return task.goldResponse?.(problem) ?? task.demonstrate?.(problem, 'plain', random).response;
}

/** Grades what is known to be right for the first `n` problems of a split, and collects what is not found correct. */
export async function gradeGold(
  task: Task,
  n: number,
  { split = 'train', seed = 0, signal }: { split?: Split; seed?: number; signal?: AbortSignal } = {},
): Promise<Validation> {
  const source = task.problems(split, seed);
  const result: Validation = { checked: 0, unvalidated: 0, failures: [] };
  for (let index = 0; index < Math.min(n, source.size); index++) {
    signal?.throwIfAborted();
    const problem = source.at(index);
    const response = goldText(task, problem, new RandomStream(seed, 'validate', index));
    if (response === undefined) {
      result.unvalidated++;
      continue;
    }
    const verdict = await task.grade(problem, { text: response, tokens: new Int32Array(), stopReason: 'eos' });
    result.checked++;
    if (verdict.status !== 'correct' || verdict.score !== 1) result.failures.push({ problem, response, verdict });
  }
  return result;
}

/**
 * Gold against gold before training: every known-good response must grade correct with score 1.
 * @throws HoneError input naming the first problem whose own solution is not accepted.
 */
export async function validateTask(
  task: Task,
  n: number,
  options?: { split?: Split; seed?: number; signal?: AbortSignal },
): Promise<Validation> {
  const result = await gradeGold(task, n, options);
  const first = result.failures[0];
  if (!first) return result;
  throw new HoneError(
    'input',
    `${result.failures.length} of ${result.checked} gold answers are not graded correct (${first.verdict.reason})`,
    {
      where: `task ${task.name}, problem ${first.problem.id}`,
      hint: 'Mend the gold answer or the grader: with this pair no response can earn the reward.',
    },
  );
}
