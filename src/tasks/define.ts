import { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import type { RandomStream } from '../core/index.js';
import { drawnSource } from './split.js';
import type { Problem, Task, Verdict } from './types.js';

/** A task as a person writes it: a Task, whose problems may also come from one function that draws them. */
export type TaskDefinition = Omit<Task, 'problems'> & {
  problems?: Task['problems'];
  /**
   * Draws one problem; used when `problems` is absent. Prompts are shared out between train and test by a hash of
   * `content` (default: the prompt), so that no problem is in both. undefined: draw again.
   */
  generate?: (random: RandomStream) => (Omit<Problem, 'id'> & { content?: string }) | undefined;
};

const aFunction = <F>(signature: string) =>
  z.custom<F>((value) => typeof value === 'function', { error: `must be a function ${signature}` });

const definitionSchema = z
  .looseObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case words joined by hyphens'),
    description: z.string(),
    format: z.enum(['raw', 'chat']),
    system: z.string().optional(),
    stop: z.array(z.string().min(1)).optional(),
    alphabet: z.string().min(1).optional(),
    suggestedMaxTokens: z.int().min(1),
    problems: aFunction<NonNullable<TaskDefinition['problems']>>('(split, seed) => { size, at }').optional(),
    generate: aFunction<NonNullable<TaskDefinition['generate']>>('(random) => problem').optional(),
    grade: aFunction<Task['grade']>('(problem, response) => Promise<Verdict>'),
    demonstrate: aFunction<NonNullable<Task['demonstrate']>>('(problem, style, random) => demonstration').optional(),
    goldResponse: aFunction<NonNullable<Task['goldResponse']>>('(problem) => text').optional(),
    effort: aFunction<NonNullable<Task['effort']>>('(problem, response) => number').optional(),
    environment: z.custom<NonNullable<Task['environment']>>((value) => hasReset(value)).optional(),
  })
  .refine((task) => (task.problems === undefined) !== (task.generate === undefined), {
    path: ['problems'],
    message: 'give either `problems` or `generate`',
  });

const verdictSchema: z.ZodType<Verdict> = z.looseObject({
  status: z.enum(['correct', 'wrong', 'no_verdict']),
  score: z.number().min(0).max(1),
  cause: z.enum(['gold', 'grader', 'response']).optional(),
  components: z.record(z.string(), z.number()).optional(),
  extracted: z.string().optional(),
  reason: z.string(),
  wellFormed: z.boolean().optional(),
});

/** The grader, held to what it promises: a score that is no number would reach the loss as NaN. */
function checkedGrade(grade: Task['grade'], where: string): Task['grade'] {
  return async function (this: unknown, ...asked: Parameters<Task['grade']>) {
    const parsed = verdictSchema.safeParse(await grade.apply(this, asked));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new HoneError('input', `grade gave no verdict: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}`, {
      where,
      hint: 'Return a verdict as docs/tasks.md describes it, e.g. from gradeAnswer.',
    });
  };
}

const hasReset = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'reset' in value && typeof value.reset === 'function';

/** A draw of the task's author: what it throws is a mistake in the task, not in hone. */
function drawFrom<T>(generate: (random: RandomStream) => T, random: RandomStream, where: string): T {
  try {
    return generate(random);
  } catch (error) {
    if (error instanceof HoneError) throw error;
    throw new HoneError('input', `generate throws: ${messageOf(error)}`, {
      where,
      hint: 'Mend `generate` in the task; the same command with --debug shows the line.',
      cause: error,
    });
  }
}

function drawnProblems(
  name: string,
  generate: NonNullable<TaskDefinition['generate']>,
  where: string,
): Task['problems'] {
  return (split, seed) =>
    drawnSource(name, split, seed, (random) => {
      const drawn = drawFrom(generate, random, where);
      if (drawn === undefined) return undefined;
      const { content, ...problem } = drawn;
      return { content: content ?? problem.prompt, problem };
    });
}

/**
 * Checks a definition and makes it a Task.
 * @param where what to name in an error: the file, or nothing.
 * @throws HoneError input with the field that is not right.
 */
export function checkTask(definition: unknown, where?: string): Task {
  const parsed = definitionSchema.safeParse(definition);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new HoneError('input', `task field ${issue?.path.join('.') || '(the whole)'}: ${issue?.message}`, {
      ...(where === undefined ? {} : { where }),
      hint: 'docs/tasks.md describes every field of a task, with a complete example.',
      cause: parsed.error,
    });
  }
  const { generate, problems, ...rest } = parsed.data;
  const place = where ?? `task ${rest.name}`;
  const grade = checkedGrade(rest.grade, place);
  if (problems) return { ...rest, grade, problems };
  const drawn = drawnProblems(rest.name, generate as NonNullable<TaskDefinition['generate']>, place);
  return { ...rest, grade, problems: drawn };
}

/**
 * Makes a task of your own. Give `generate` for problems that are drawn (train and test are then kept apart for you),
 * or `problems` for full control.
 * @throws HoneError input with the field that is not right.
 * @example
 * export default defineTask({
 *   name: 'doubling', description: 'double a number', format: 'chat', suggestedMaxTokens: 64,
 *   generate: (random) => { const n = random.nextInt(1, 999); return { prompt: `Double ${n}.`, answer: String(2 * n) }; },
 *   grade: (problem, response) => gradeAnswer(problem, response),
 * });
 */
export function defineTask(definition: TaskDefinition): Task {
  return checkTask(definition);
}
