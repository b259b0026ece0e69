/**
 * The runs behind the claim on the recipes: every recipe with its preset `mini`, on the same two tasks from the same two
 * starting models, which differ from recipe to recipe in nothing.
 */

/** A task and the model that every recipe starts from. */
export interface Start {
  name: string;
  task: string;
  taskOptions: readonly string[];
  /** Arguments of `hone train sft` that make the starting model. */
  warmStart: readonly string[];
  /** Longest response in tokens; longer than any solution. */
  maxTokens: number;
}

const set = (...settings: string[]): string[] => settings.flatMap((setting) => ['--set', setting]);
const WARM_START = set(
  ...['updatesPerIteration=20', 'sequencesPerUpdate=32', 'optimizer.lr=0.002', 'optimizer.schedule=cosine'],
  ...['optimizer.finalLrFraction=0.05', 'optimizer.warmupUpdates=50', 'optimizer.weightDecay=0.01'],
  ...['evaluation.every=5', 'checkpoint.every=100', 'checkpoint.keep=1'],
);

export const STARTS: readonly Start[] = [
  {
    name: 'last-digit',
    task: 'last-digit',
    taskOptions: ['check=restate', 'giveUp=[70,4,4,4,4,4,4,3,3]'],
    warmStart: ['--style', 'search', '--demonstrations', '4000', ...set('updates=500'), ...WARM_START],
    maxTokens: 140,
  },
  {
    name: 'congruence',
    task: './congruence.ts',
    taskOptions: [],
    warmStart: ['--style', 'search', '--demonstrations', '4000', ...set('updates=500'), ...WARM_START],
    maxTokens: 175,
  },
];

/** The nine systems (STILL-3 in both of its forms), and the two plain methods they build on. */
export const RECIPES = [
  ...['grpo', 'dapo', 'dr-grpo', 'ppo', 'orz', 'vapo', 'rlsp', 't1'],
  ...['still3', 'still3-1.5b', 'fastcurl', 'difficulty-staged'],
] as const;

export const SEEDS = [1, 2, 3] as const;

/**
 * The control arm runs with the first seed: every advantage is 0, and so are VAPO's loss on right answers, which is a reward
 * as well, and what is left beside the advantages: AdamW takes entropy bonuses at its full rate where there is no other
 * gradient, and a KL to the reference too, which at the start is nothing but rounding.
 */
export const CONTROL = set(
  'control.zeroAdvantage=true',
  'loss.positiveNll=0',
  'loss.entropyBonus=0',
  'kl.coefficient=0',
);

export interface PlannedRun {
  recipe: string;
  start: Start;
  seed: number;
  arm: 'trained' | 'control';
}

/** All runs; every recipe is seen once before any is seen again. */
export const RUNS: readonly PlannedRun[] = [
  ...SEEDS.flatMap((seed) =>
    STARTS.flatMap((start) => RECIPES.map((recipe) => ({ recipe, start, seed, arm: 'trained' as const }))),
  ),
  ...STARTS.flatMap((start) => RECIPES.map((recipe) => ({ recipe, start, seed: SEEDS[0], arm: 'control' as const }))),
];
