import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { readJsonl } from '../formats/index.js';

/**
 * Measured difficulty: how often a model solves a problem. One row a problem and model in a JSONL file:
 * `{"id": "train-7", "model": "r1-distill-1.5b", "k": 16, "passRate": 0.25}`.
 */
export const difficultyRowSchema = z.looseObject({
  /** `Problem.id`. */
  id: z.string().min(1),
  /** A name for the model that was measured; selection rules refer to it. */
  model: z.string().min(1),
  /** Samples the rate was measured with; its standard error is sqrt(p (1 - p) / k). */
  k: z.int().positive(),
  /** p_m(x): mean score over the k samples. */
  passRate: z.number().min(0).max(1),
});
export type DifficultyRow = z.infer<typeof difficultyRowSchema>;

/** Pass rates by problem id, then by model. */
export type PassRates = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Pass rates from a file.
 * @param onRow sees each row and where it stands, `file:line`
 * @throws HoneError('input') at `file:line` for a row that does not fit, or a second row of the same problem and model
 */
export async function readPassRates(
  file: string,
  onRow: (row: DifficultyRow, where: string) => void = () => {},
): Promise<PassRates> {
  const rates = new Map<string, Map<string, number>>();
  await readJsonl(file, difficultyRowSchema, {
    onRow: (row, line) => {
      const { id, model, passRate } = row;
      const ofProblem = rates.get(id) ?? new Map<string, number>();
      if (ofProblem.has(model))
        throw new HoneError('input', `problem ${id} has a pass rate of ${model} already`, {
          where: `${file}:${line}`,
          hint: 'Keep one row for each problem and model.',
        });
      onRow(row, `${file}:${line}`);
      rates.set(id, ofProblem.set(model, passRate));
    },
  });
  return rates;
}

/** Models whose pass rates the levels compare, weakest first; `strongest` decides what is too hard to use at all. */
export interface LevelModels {
  small: string;
  medium: string;
  large: string;
  /** null: nothing is left out for being too hard. */
  strongest: string | null;
}

export type Level = 1 | 2 | 3;

const solved = (p: number): boolean => p === 1;
const failed = (p: number): boolean => p === 0;
const partly = (p: number): boolean => p > 0 && p < 1;

/**
 * Whether a problem is of a level of difficulty-staged RL (arXiv 2504.00829 section 3.2.1). The levels are rules of
 * selection and overlap; a problem that the strongest model never solves is in none.
 *
 *   level 1   0 < p_small < 1
 *   level 2   p_small = 0 and p_medium > 0,  or  0 < p_small < 1 and 0 < p_medium < 1
 *   level 3   p_large < 1, and of those with p_large = 1 a random share
 *
 * The paper does not say when the large model fails an item that it solves at times: here everything below 1 is failed.
 * @param drawn uniform in [0, 1), a function of the problem: level 3 keeps a solved problem when it is below `solvedShare`
 *   (paper: 0.5 of mathematics, 0.1 of code).
 * @returns undefined when a rate that the rule needs was not measured.
 */
export function isOfLevel(
  level: Level,
  rates: ReadonlyMap<string, number>,
  models: LevelModels,
  { drawn, solvedShare }: { drawn: number; solvedShare: number },
): boolean | undefined {
  const best = models.strongest === null ? 1 : rates.get(models.strongest);
  const [small, medium, large] = [models.small, models.medium, models.large].map((model) => rates.get(model));
  if (best === undefined) return undefined;
  if (failed(best)) return false;
  if (level === 3) return large === undefined ? undefined : !solved(large) || drawn < solvedShare;
  if (small === undefined) return undefined;
  if (level === 1) return partly(small);
  if (medium === undefined) return undefined;
  return (failed(small) && !failed(medium)) || (partly(small) && partly(medium));
}
