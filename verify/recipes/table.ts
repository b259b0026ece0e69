import type { Estimate } from '../../src/evals/index.js';
import type { PlannedRun } from './plan.js';
import { RECIPES, STARTS } from './plan.js';

/** What a run brought, against the model it started from. */
export interface Measured extends PlannedRun {
  /** Held-out accuracy after minus before, paired by problem. */
  difference: Estimate;
  /** Held-out accuracy after. */
  after: number;
  /** Tokens it sampled in training. */
  sampledTokens: number;
  /** Wall-clock of its iterations. */
  seconds: number;
}

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
      const average = (of: (run: Measured) => number): number =>
        trained.reduce((sum, run) => sum + of(run), 0) / Math.max(1, trained.length);
      return [
        ...[start.name, `\`${recipe}\``],
        ...[...cells, control].map((cell) => (cell ? interval(cell) : '')),
        ...[`${(average((run) => run.sampledTokens) / 1000).toFixed(0)}k`, average((run) => run.seconds).toFixed(0)],
      ];
    }),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
