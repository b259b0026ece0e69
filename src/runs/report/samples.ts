import { z } from 'zod';
import type { RunReader } from '../reader.js';
import type { Json, RolloutRow } from '../types.js';

/** One attempt as the report shows it. */
export interface Attempt {
  label: string;
  text: string;
  status: RolloutRow['status'];
  reason: string;
  tokens?: number | undefined;
}
/** Two attempts at one problem, early and late. */
export interface SamplePair {
  problemId: string;
  prompt: string;
  early: Attempt;
  late: Attempt;
}

const attemptSchema = z.object({
  text: z.string(),
  status: z.enum(['correct', 'wrong', 'no_verdict']),
  reason: z.string().default(''),
  tokens: z.number().optional(),
});

/**
 * `samples.json`, which a recipe may store beside result.json: the same held-out problems answered before and after
 * training.
 */
export const samplesSchema = z.array(
  z.object({ problemId: z.string(), prompt: z.string(), before: attemptSchema, after: attemptSchema }),
);

const PAIRS = 6;

/**
 * Side-by-side samples, chosen without looking at the outcome: those of samples.json in their order; else problems
 * attempted both in the first and in the last third of the stored rollouts, by first appearance, first attempt each.
 * @throws HoneError('input') when a rollouts file is damaged
 */
export async function pairSamples(run: RunReader, stored: Json | undefined): Promise<SamplePair[]> {
  const given = samplesSchema.safeParse(stored);
  if (given.success)
    return given.data.slice(0, PAIRS).map(({ before, after, ...problem }) => ({
      ...problem,
      early: { label: 'Before', ...before },
      late: { label: 'After', ...after },
    }));
  return pairRollouts(run);
}

async function pairRollouts(run: RunReader): Promise<SamplePair[]> {
  const iterations = await run.rolloutIterations();
  const third = Math.ceil(iterations.length / 3);
  if (iterations.length < 2) return [];
  const early = await firstAttempts(run, iterations.slice(0, third));
  const late = await firstAttempts(run, iterations.slice(-third).reverse());
  const shared = [...early.keys()].filter((id) => late.get(id) !== undefined && late.get(id) !== early.get(id));
  return shared.slice(0, PAIRS).flatMap((problemId): SamplePair[] => {
    const [a, b] = [early.get(problemId), late.get(problemId)];
    if (a === undefined || b === undefined || a.iteration >= b.iteration) return [];
    return [{ problemId, prompt: a.prompt, early: asAttempt(a), late: asAttempt(b) }];
  });
}

/** Sample 0 of every problem, from the first of these iterations that has it. Bounded: a report reads a few files. */
async function firstAttempts(run: RunReader, iterations: readonly number[]): Promise<Map<string, RolloutRow>> {
  const found = new Map<string, RolloutRow>();
  for (const iteration of iterations.slice(0, 12))
    for (const row of await run.readRollouts(iteration)) if (!found.has(row.problemId)) found.set(row.problemId, row);
  return found;
}

function asAttempt(row: RolloutRow): Attempt {
  return { label: `Iteration ${row.iteration}`, ...row };
}

/** Rollouts of the last stored iteration, by problem. */
export async function lastRollouts(
  run: RunReader,
  limit: number,
): Promise<{ iteration: number; total: number; groups: RolloutRow[][] } | undefined> {
  const iteration = (await run.rolloutIterations()).at(-1);
  if (iteration === undefined) return undefined;
  const rows = await run.readRollouts(iteration);
  const groups = new Map<string, RolloutRow[]>();
  for (const row of rows) groups.set(row.problemId, [...(groups.get(row.problemId) ?? []), row]);
  const shown: RolloutRow[][] = [];
  let count = 0;
  for (const group of groups.values()) {
    if (count > 0 && count + group.length > limit) break;
    shown.push(group);
    count += group.length;
  }
  return { iteration, total: rows.length, groups: shown };
}
