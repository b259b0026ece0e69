import type { Estimate } from '../../src/evals/index.js';
import type { PlannedRun } from './plan.js';
import { RECIPES, STARTS } from './plan.js';

/** What a run brought, against the model it started from. */
export interface Measured extends PlannedRun {
  /** Held-out accuracy after minus before, paired by problem. */
  difference: Estimate;
  /** For every iteration: tokens sampled up to its end, and the share of its attempts that were right, before any was put aside. */
  curve: readonly { tokens: number; accuracy: number }[];
  /** Wall-clock of its iterations. */
  seconds: number;
}

const sampledTokens = ({ curve }: Measured): number => curve.at(-1)?.tokens ?? 0;
const inThousands = (tokens: number): string => `${Math.round(tokens / 1000)}k`;

const average = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

const points = (share: number): string => `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)}`;
const interval = ({ value, ci95: [low, high] }: Estimate): string =>
  `${points(value)} [${points(low)}, ${points(high)}]`;

/** Markdown: a line for every recipe and task, with the difference of each seed and of the control. */
export function recipeTable(measured: readonly Measured[]): string {
  const seeds = [...new Set(measured.filter(({ arm }) => arm === 'trained').map(({ seed }) => seed))];
  const head = ['task', 'recipe', ...seeds.map((seed) => `seed ${seed}`), 'control', 'tokens sampled', 's a run'];
  const rows = STARTS.flatMap((start) =>
    RECIPES.map((recipe) => {
      const ofRecipe = measured.filter((run) => run.recipe === recipe && run.start.name === start.name);
      const trained = ofRecipe.filter(({ arm }) => arm === 'trained');
      const cells = seeds.map((seed) => trained.find((run) => run.seed === seed)?.difference);
      const control = ofRecipe.find(({ arm }) => arm === 'control')?.difference;
      return [
        ...[start.name, `\`${recipe}\``],
        ...[...cells, control].map((cell) => (cell ? interval(cell) : '')),
        ...[inThousands(average(trained.map(sampledTokens))), average(trained.map((run) => run.seconds)).toFixed(0)],
      ];
    }),
  );
  return markdown(head, rows);
}

/** Sampled tokens at which the accuracy of training is shown. */
const MARKS = [25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000] as const;

/** Markdown: the accuracy, in percent, of the iteration in which so many tokens had been sampled; mean over the seeds that got so far. */
export function curveTable(measured: readonly Measured[]): string {
  const rows = STARTS.flatMap((start) =>
    RECIPES.map((recipe) => {
      const curves = measured
        .filter((run) => run.recipe === recipe && run.start.name === start.name && run.arm === 'trained')
        .map(({ curve }) => curve);
      const cells = MARKS.map((mark) => {
        const reached = curves.flatMap((curve) => curve.find(({ tokens }) => tokens >= mark)?.accuracy ?? []);
        return reached.length === 0 ? '' : (100 * average(reached)).toFixed(0);
      });
      return [start.name, `\`${recipe}\``, ...cells];
    }),
  );
  return markdown(['task', 'recipe', ...MARKS.map(inThousands)], rows);
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
