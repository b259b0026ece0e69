import { metricValue } from '../compare.js';
import type { MetricsLine } from '../types.js';

export type Unit = 'percent' | 'tokens' | 'nats' | 'rate' | 'seconds' | 'count' | 'number';

export interface Series {
  label: string;
  /** Index into the palette. */
  color: number;
  /** Drawn thin and pale: the readings behind a smoothed line. */
  faint?: boolean;
  /** Tells lines apart without colour. */
  dash?: 'dashed' | 'dotted';
  values: (number | null)[];
}

export interface Chart {
  id: string;
  title: string;
  /** What one sees, in one sentence. */
  note: string;
  unit: Unit;
  /** Series are added up, from the first at the bottom. */
  stacked?: boolean;
  logarithmic?: boolean;
  /** Bounds that the axis always shows. */
  shows?: readonly number[];
  /** Iterations, ascending, one for every value of every series. */
  iterations: number[];
  series: Series[];
}

type Line = readonly [metric: string, label: string];
interface Plan extends Omit<Chart, 'iterations' | 'series'> {
  lines: readonly Line[];
  smooth?: boolean;
  /** Divides every value by this metric of the same line. */
  per?: string;
}

const PLANS: readonly Plan[] = [
  {
    id: 'accuracy',
    title: 'Accuracy',
    note: 'Share of right answers: on the problems trained on, before any filtering, and on validation problems.',
    unit: 'percent',
    shows: [0, 1],
    smooth: true,
    lines: [
      ['accuracy', 'training problems'],
      ['val.accuracy', 'validation'],
    ],
  },
  {
    id: 'missing',
    title: 'Why reward is missing',
    note: 'Share of all attempts that earned none, by cause. What is left above is right.',
    unit: 'percent',
    stacked: true,
    shows: [0, 1],
    per: 'samples',
    lines: [
      ['missing.wrong', 'wrong answer'],
      ['missing.no_answer', 'no answer found'],
      ['missing.truncated', 'cut off at the limit'],
      ['missing.no_verdict.gold', 'no verdict: gold answer'],
      ['missing.no_verdict.grader', 'no verdict: grader'],
      ['missing.no_verdict.response', 'no verdict: response'],
    ],
  },
  {
    id: 'reward',
    title: 'Mean reward',
    note: 'After shaping, over all graded attempts.',
    unit: 'number',
    smooth: true,
    lines: [['reward.mean', 'reward']],
  },
  {
    id: 'loss',
    title: 'Loss',
    note: 'Of the updates of one iteration; a policy-gradient loss need not fall.',
    unit: 'number',
    lines: [
      ['loss', 'training'],
      ['val.loss', 'validation'],
    ],
  },
  {
    id: 'length',
    title: 'Response length',
    note: 'Mean tokens of an answer, and of the right and the wrong ones apart.',
    unit: 'tokens',
    shows: [0],
    lines: [
      ['length.mean', 'all'],
      ['length.correct', 'right'],
      ['length.wrong', 'wrong'],
    ],
  },
  {
    id: 'entropy',
    title: 'Entropy',
    note: 'Of the next-token distribution. A fall to zero means that exploring has ended.',
    unit: 'nats',
    shows: [0],
    lines: [
      ['entropy', 'exact'],
      ['entropy.estimate', 'estimate from samples'],
    ],
  },
  {
    id: 'groups',
    title: 'Groups without variance',
    note: 'Share of prompts whose attempts all scored the same, and so teach nothing.',
    unit: 'percent',
    shows: [0, 1],
    per: 'groups.total',
    lines: [['groups.no_variance', 'all right or all wrong']],
  },
  {
    id: 'clip',
    title: 'Clipped tokens',
    note: 'Share of trained tokens whose probability ratio left the trust region.',
    unit: 'percent',
    shows: [0],
    lines: [
      ['clip.low', 'below'],
      ['clip.high', 'above'],
    ],
  },
  {
    id: 'grad-norm',
    title: 'Gradient norm',
    note: 'Global L2 norm before clipping.',
    unit: 'number',
    shows: [0],
    lines: [['grad_norm', 'norm']],
  },
  {
    id: 'agreement',
    title: 'Sampler against trainer',
    note: '|Δ log p| of the same tokens under both. Logarithmic; below 1e-4 they agree.',
    unit: 'nats',
    logarithmic: true,
    lines: [
      ['agreement.max_abs', 'largest'],
      ['agreement.mean_abs', 'mean'],
    ],
  },
  {
    id: 'ratio',
    title: 'Largest probability ratio',
    note: 'New over old policy on one token; 1 when nothing has moved.',
    unit: 'number',
    lines: [['ratio.max', 'largest']],
  },
  {
    id: 'well-formed',
    title: 'Well-formed answers',
    note: 'Share of answers in the form that was asked for.',
    unit: 'percent',
    shows: [0, 1],
    lines: [['well_formed', 'well-formed']],
  },
  {
    id: 'lr',
    title: 'Learning rate',
    note: 'At the last update of the iteration.',
    unit: 'number',
    shows: [0],
    lines: [['lr', 'rate']],
  },
  {
    id: 'speed',
    title: 'Speed',
    note: 'Tokens sampled and trained a second.',
    unit: 'rate',
    shows: [0],
    lines: [
      ['timing.sample_tokens_per_s', 'sampling'],
      ['timing.train_tokens_per_s', 'training'],
    ],
  },
  {
    id: 'time',
    title: 'Time of an iteration',
    note: 'Where the seconds went.',
    unit: 'seconds',
    stacked: true,
    shows: [0],
    lines: [
      ['timing.sample_s', 'sampling'],
      ['timing.grade_s', 'grading'],
      ['timing.train_s', 'training'],
    ],
  },
];

const SMOOTH_FROM = 24;
const DASHES: readonly Series['dash'][] = [undefined, 'dashed', 'dotted'];

/** The charts that these metrics can fill: a metric that was never logged, or was always zero in a stack, is left out. */
export function planCharts(metrics: readonly MetricsLine[]): Chart[] {
  return PLANS.map((plan) => fill(plan, metrics)).filter((chart) => chart.series.length > 0);
}

function fill(plan: Plan, metrics: readonly MetricsLine[]): Chart {
  const { lines, smooth, per, ...chart } = plan;
  const rows = metrics.filter((line) => lines.some(([metric]) => metricValue(line, metric) !== undefined));
  const columns = lines
    .map(([metric, label]) => ({ label, values: rows.map((line) => valueOf(line, metric, per)) }))
    .filter(({ values }) => values.some((value) => value !== null && (plan.stacked !== true || value !== 0)));
  const series = columns.flatMap(({ label, values }, color): Series[] => {
    const dense = values.every((value) => value !== null);
    if (smooth && dense && values.length >= SMOOTH_FROM) return smoothed(label, color, values);
    return [{ label, color, values, ...(plan.stacked ? {} : { dash: DASHES[color] }) }];
  });
  return { ...chart, iterations: rows.map((line) => line.iteration), series };
}

function valueOf(line: MetricsLine, metric: string, per: string | undefined): number | null {
  const value = metricValue(line, metric);
  if (value === undefined || per === undefined) return value ?? null;
  const total = metricValue(line, per);
  return total === undefined || total === 0 ? null : value / total;
}

/** The readings, faint, and their centred moving average. */
function smoothed(label: string, color: number, values: readonly (number | null)[]): Series[] {
  const reach = Math.max(2, Math.round(values.length / 24));
  const averages = values.map((_, i) => {
    const window = values.slice(Math.max(0, i - reach), i + reach + 1).filter((value) => value !== null);
    return window.reduce((sum, value) => sum + value, 0) / window.length;
  });
  return [
    { label: `${label}, each iteration`, color, faint: true, values: [...values] },
    { label: `${label}, mean of ${2 * reach + 1}`, color, values: averages },
  ];
}

/** The last reading. */
export function latestValue(series: Series): number | null {
  return series.values.findLast((value) => value !== null) ?? null;
}

const SUFFIX: Readonly<Record<Unit, string>> = {
  percent: ' %',
  tokens: ' tokens',
  nats: ' nats',
  rate: ' tokens/s',
  seconds: ' s',
  count: '',
  number: '',
};

/** A value with its unit, three significant digits. */
export function formatValue(value: number | null, unit: Unit): string {
  if (value === null) return '–';
  if (unit === 'percent') return `${formatPercent(value)} %`;
  return formatNumber(value) + SUFFIX[unit];
}

/** One decimal; two digits below one percent. */
function formatPercent(share: number): string {
  const value = share * 100;
  return value !== 0 && Math.abs(value) < 1 ? String(Number(value.toPrecision(2))) : value.toFixed(1);
}

/** 1234.5 -> 1,235; 0.01234 -> 0.0123; 0.0000123 -> 1.23e-5. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return size < 1e9 ? Math.round(value).toLocaleString('en-US') : value.toExponential(2);
  if (size < 1e-3) return value.toExponential(2);
  return String(Number(value.toPrecision(3)));
}

/** What a chart says, for those who cannot see it. */
export function describeChart(chart: Chart): string {
  const told = chart.series
    .filter((series) => !series.faint)
    .map((series) => {
      const first = formatValue(series.values.find((value) => value !== null) ?? null, chart.unit);
      return `${series.label} from ${first} to ${formatValue(latestValue(series), chart.unit)}`;
    });
  const [from, to] = [chart.iterations[0], chart.iterations.at(-1)];
  return `${chart.title}, iterations ${from} to ${to}: ${told.join('; ')}.`;
}
