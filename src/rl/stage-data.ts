import { z } from 'zod';
import { HoneError, RandomStream } from '../core/index.js';
import { isOfLevel, readPassRates, type PassRates } from '../tasks/difficulty.js';
import type { Problem, ProblemSource } from '../tasks/types.js';

const rate = () => z.number().min(0).max(1);

/** Which training problems a stage uses: those that every rule given accepts. */
export const stageDataSchema = z.strictObject({
  promptLength: z
    .enum(['all', 'short', 'long'])
    .describe(
      'FastCuRL: problems whose prompts have at most as many characters as their mean (short), or more (long); all of them where prompts have one length.',
    ),
  difficulty: z
    .strictObject({ min: z.number().nullable(), max: z.number().nullable() })
    .nullable()
    .describe("Problems with this label of the task's own, both ends included; null: all."),
  passRate: z
    .strictObject({ file: z.string().min(1), model: z.string().min(1), above: rate(), below: rate() })
    .nullable()
    .describe('Problems that `model` solves more often than `above` and less often than `below`; null: all.'),
  level: z
    .strictObject({
      file: z.string().min(1),
      level: z.union([z.literal(1), z.literal(2), z.literal(3)]),
      models: z.strictObject({
        small: z.string().min(1),
        medium: z.string().min(1),
        large: z.string().min(1),
        strongest: z.string().min(1).nullable(),
      }),
      solvedShare: rate(),
    })
    .nullable()
    .describe('Problems of a level of measured difficulty (arXiv 2504.00829 section 3.2.1); null: all.'),
  pool: z
    .number()
    .int()
    .positive()
    .describe(
      'Of an endless task: problems drawn to take the mean prompt length over, or to look up pass rates of. A finite one is taken whole.',
    ),
});
export type StageData = z.infer<typeof stageDataSchema>;

type Rule = (problem: Problem) => boolean;

/** An endless source is searched this far for the next problem that fits. */
const MAX_MISSES = 10_000;

/**
 * The problems of a stage, a pure function of (source, rules, seed). Of an endless source problem `index` is the
 * index-th that fits; with pass rates it is the finite list of those in the pool that were measured.
 * @param where dotted option, for errors.
 * @throws HoneError('input') when no problem fits, or a pass rate file cannot be read.
 */
export async function stageProblems(
  source: ProblemSource,
  data: StageData,
  seed: number,
  where: string,
): Promise<ProblemSource> {
  const measured = await measuredRules(data, seed);
  const rules = [...lengthRules(source, data), ...difficultyRules(data), ...measured];
  if (rules.length === 0) return source;
  const fits: Rule = (problem) => rules.every((rule) => rule(problem));
  if (source.size === Infinity && measured.length === 0) return filtered(source, fits, where);
  const count = Math.min(source.size, source.size === Infinity ? data.pool : source.size);
  const chosen = Array.from({ length: count }, (_, i) => i).filter((i) => fits(source.at(i)));
  if (chosen.length === 0) throw nothingFits(where, `${count} problems`);
  return listed(source, chosen);
}

function listed(source: ProblemSource, chosen: readonly number[]): ProblemSource {
  return { size: chosen.length, at: (index) => source.at(chosen[index % chosen.length] as number) };
}

function filtered(source: ProblemSource, fits: Rule, where: string): ProblemSource {
  const accepted: number[] = [];
  let next = 0;
  const at = (index: number): Problem => {
    for (let misses = 0; accepted.length <= index; next++) {
      const isFit = fits(source.at(next));
      if (isFit) accepted.push(next);
      misses = isFit ? 0 : misses + 1;
      if (misses >= MAX_MISSES) throw nothingFits(where, `the last ${MAX_MISSES} problems drawn`);
    }
    return source.at(accepted[index] as number);
  };
  return { size: Infinity, at };
}

function nothingFits(where: string, searched: string): HoneError {
  return new HoneError('input', `none of ${searched} fits the stage`, {
    where,
    hint: 'Widen the rules of the stage, or take the stage out.',
  });
}

/** Prompt lengths in characters of a source, or of the first `pool` problems of an endless one. */
function promptLengths(source: ProblemSource, pool: number): number[] {
  const count = source.size === Infinity ? pool : source.size;
  return Array.from({ length: count }, (_, index) => source.at(index).prompt.length);
}

/** Mean prompt length in characters over a source, or over the first `pool` problems of an endless one. */
export function meanPromptLength(source: ProblemSource, pool: number): number {
  const lengths = promptLengths(source, pool);
  return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
}

/**
 * FastCuRL (arXiv 2503.17287 section 2.1): the threshold is the mean prompt length in characters. Where all prompts have
 * one length there is nothing to split, and every problem is in both parts.
 */
function lengthRules(source: ProblemSource, { promptLength, pool }: StageData): Rule[] {
  const lengths = promptLength === 'all' ? [] : promptLengths(source, pool);
  if (lengths.every((length) => length === lengths[0])) return [];
  const mean = meanPromptLength(source, pool);
  return [({ prompt }) => (promptLength === 'short' ? prompt.length <= mean : prompt.length > mean)];
}

function difficultyRules({ difficulty }: StageData): Rule[] {
  if (difficulty === null) return [];
  const { min, max } = difficulty;
  return [({ difficulty: d }) => d !== undefined && d >= (min ?? -Infinity) && d <= (max ?? Infinity)];
}

async function measuredRules({ passRate, level }: StageData, seed: number): Promise<Rule[]> {
  const rules: Rule[] = [];
  if (passRate !== null) {
    const { model, above, below } = passRate;
    const p = ratesIn(await readPassRates(passRate.file));
    rules.push(({ id }) => within(p(id)?.get(model), above, below));
  }
  if (level !== null) {
    const p = ratesIn(await readPassRates(level.file));
    rules.push(({ id }) => {
      const [rates, drawn] = [p(id), new RandomStream(seed, 'level-3', id).uniform(0)];
      return rates !== undefined && isOfLevel(level.level, rates, level.models, { ...level, drawn }) === true;
    });
  }
  return rules;
}

const ratesIn =
  (rates: PassRates) =>
  (id: string): ReadonlyMap<string, number> | undefined =>
    rates.get(id);

const within = (p: number | undefined, above: number, below: number): boolean =>
  p !== undefined && p > above && p < below;
