import { z } from 'zod';
import { HoneError, nearest } from '../core/index.js';
import { budgetForcing, S1_MARKERS } from './budget-forcing.js';
import { direct } from './direct.js';
import { multiRound } from './multi-round.js';
import { sift } from './sift.js';
import { pythonFunction } from './python.js';
import { type CodeExecutor, codeTool, functionTools } from './tools.js';
import { truncation } from './truncation.js';
import type { Method } from './types.js';
import { bestOfN, meanLogprob, selfConsistency } from './votes.js';

interface Entry {
  name: string;
  description: string;
  /** The option that a bare value after the colon means. */
  main?: string;
  /** Takes the next method of the chain as its own. */
  wraps: boolean;
  make(options: Record<string, string>, inner: Method | undefined, outside: MethodOutside): Method;
}

/** What a method may need besides a model. */
export interface MethodOutside {
  /** Runs the programs that a model writes, for the tool loops. */
  executor?: CodeExecutor;
}

const count = z.coerce.number().int().min(1).max(100_000);

function entry<S extends z.ZodObject>(
  described: Omit<Entry, 'make'>,
  options: S,
  make: (options: z.output<S>, inner: Method | undefined, outside: MethodOutside) => Method,
): Entry {
  return {
    ...described,
    make: (given, inner, outside) => {
      const parsed = options.strict().safeParse(given);
      if (parsed.success) return make(parsed.data as z.output<S>, inner, outside);
      const issue = parsed.error.issues[0];
      throw new HoneError('usage', issue?.message ?? 'not valid', {
        where: `method ${described.name}${issue?.path.length ? `, option ${issue.path.join('.')}` : ''}`,
        hint: `Options: ${Object.keys(options.shape).join(', ') || 'none'}.`,
      });
    },
  };
}

const ENTRIES: readonly Entry[] = [
  entry({ name: 'direct', description: 'the question, once', wraps: false }, z.object({}), () => direct()),
  entry(
    {
      name: 'multi-round',
      description: 'ask again, showing the last answer alone (Think Twice)',
      main: 'rounds',
      wraps: true,
    },
    z.object({ rounds: count.default(2), shows: z.enum(['auto', 'text', 'extracted']).default('auto') }),
    (options, inner) => multiRound({ ...options, ...(inner ? { inner } : {}) }),
  ),
  entry(
    {
      name: 'self-consistency',
      description: 'the most frequent answer of n samples',
      main: 'n',
      wraps: true,
    },
    z.object({ n: count.default(8) }),
    (options, inner) => selfConsistency({ ...options, ...(inner ? { inner } : {}) }),
  ),
  entry(
    {
      name: 'best-of-n',
      description: "the sample of highest mean logprob: the model's own confidence",
      main: 'n',
      wraps: true,
    },
    z.object({ n: count.default(8) }),
    (options, inner) => bestOfN({ ...options, scorer: meanLogprob, ...(inner ? { inner } : {}) }),
  ),
  entry(
    { name: 'sift', description: 'answers from the written-down facts must agree (SIFT)', main: 'stages', wraps: true },
    z.object({
      stages: z.coerce
        .number()
        .pipe(z.union([z.literal(1), z.literal(2), z.literal(3)]))
        .default(3),
      equivalence: z.enum(['grader', 'opencompass']).default('grader'),
      returns: z.enum(['query-and-sticker', 'sticker']).default('query-and-sticker'),
    }),
    (options, inner) => sift({ ...options, ...(inner ? { inner } : {}) }),
  ),
  entry(
    {
      name: 'budget-forcing',
      description: 'thoughts of at most `cap` tokens, and `waits` suppressed ends (s1)',
      main: 'cap',
      wraps: false,
    },
    z.object({
      cap: count,
      waits: z.coerce.number().int().min(0).default(0),
      answerTokens: count.default(256),
      markers: z.enum(['think', 's1']).default('think'),
    }),
    ({ markers, ...options }) => budgetForcing({ ...options, ...(markers === 's1' ? S1_MARKERS : {}) }),
  ),
  entry(
    {
      name: 'truncation',
      description: 'answers from the first B tokens of the thoughts, for each budget B (T1); B1+B2+...',
      main: 'budgets',
      wraps: false,
    },
    z.object({
      budgets: z.string().transform((text, issues) => {
        const budgets = text.split('+').map(Number);
        if (budgets.every((budget) => Number.isInteger(budget) && budget >= 0)) return budgets;
        issues.addIssue({ code: 'custom', message: 'write whole numbers joined by +, such as 64+128+256' });
        return z.NEVER;
      }),
    }),
    (options) => truncation(options),
  ),
  entry(
    {
      name: 'tools',
      description: 'Python blocks are run in a sandbox, and the model goes on from their output (STILL-3)',
      main: 'runs',
      wraps: false,
    },
    z.object({ runs: count.default(3), output: count.default(2000) }),
    ({ runs, output }, _inner, { executor }) =>
      codeTool({ executor: sandboxed(executor, 'tools'), maxRuns: runs, maxOutput: output }),
  ),
  entry(
    {
      name: 'function-tools',
      description: "the chat API's function calling, with Python in a sandbox as the function",
      main: 'turns',
      wraps: false,
    },
    z.object({ turns: count.default(8), output: count.default(2000) }),
    ({ turns, output }, _inner, { executor }) => {
      const python = pythonFunction(sandboxed(executor, 'function-tools'), output);
      return functionTools({ tools: [python], maxTurns: turns });
    },
  ),
];

/** @throws HoneError('usage') where there is nothing to run programs in. */
function sandboxed(executor: CodeExecutor | undefined, method: string): CodeExecutor {
  if (executor) return executor;
  throw new HoneError('usage', `${method} runs programs, and was given no sandbox to run them in`, {
    where: `method ${method}`,
    hint: 'Give parseMethod an executor (pythonExecutor); the command line does so by itself.',
  });
}

/** Whether a method, as text, runs programs of the model: then it needs an executor. */
export const runsPrograms = (text: string): boolean =>
  text.split('/').some((part) => /^\s*(function-)?tools\s*(:|$)/.test(part));

/** Names and descriptions of the methods that can be named. */
export const methodNames: readonly { name: string; description: string }[] = ENTRIES.map(({ name, description }) => ({
  name,
  description,
}));

/**
 * A method from text: `name`, `name:value`, `name:key=value,key=value`; `outer/inner` makes one the step of another.
 * @example parseMethod('self-consistency:10/sift:equivalence=opencompass')
 * @throws HoneError('usage') for unknown names and options, with the nearest name.
 */
export function parseMethod(text: string, outside: MethodOutside = {}): Method {
  const parts = text.split('/');
  const method = parts.reduceRight<Method | undefined>(
    (inner, part) => parseOne(part.trim(), inner, outside),
    undefined,
  );
  return method as Method;
}

function parseOne(text: string, inner: Method | undefined, outside: MethodOutside): Method {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const found = ENTRIES.find((known) => known.name === name);
  const names = ENTRIES.map((known) => known.name);
  if (!found)
    throw new HoneError('usage', `no method is named "${name}"`, {
      where: '--method',
      hint: `Did you mean ${nearest(name, names)}? Methods: ${names.join(', ')}.`,
    });
  if (inner && !found.wraps)
    throw new HoneError('usage', `${name} takes no inner method`, {
      where: '--method',
      hint: `Put it last: ${inner.name} cannot be a step of it.`,
    });
  return found.make(colon < 0 ? {} : parseOptions(text.slice(colon + 1), found), inner, outside);
}

function parseOptions(text: string, { main, name }: Entry): Record<string, string> {
  const pairs = text.split(',').map((part): [string, string] => {
    const at = part.indexOf('=');
    if (at > 0) return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (main === undefined)
      throw new HoneError('usage', `${name} takes no value`, { where: '--method', hint: 'Leave the colon out.' });
    return [main, part.trim()];
  });
  return Object.fromEntries(pairs);
}
