import { metricValue } from '../compare.js';
import type { MetricsLine } from '../types.js';
import { PLANS, type Plan } from './plans.js';

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

const SMOOTH_FROM = 24;
const DASHES: readonly Series['dash'][] = [undefined, 'dashed', 'dotted'];

/** The charts that these metrics can fill: a metric that was never logged, or was always zero in a stack, is left out. */
export function planCharts(metrics: readonly MetricsLine[]): Chart[] {
  return PLANS.map((plan) => fill(plan, metrics)).filter((chart) => chart.series.length > 0);
}

function fill(plan: Plan, metrics: readonly MetricsLine[]): Chart {
  const { lines, smooth, per, positive, ...chart } = plan;
  const hidesZero = plan.stacked === true || positive === true;
  const rows = metrics.filter((line) => lines.some(([metric]) => metricValue(line, metric) !== undefined));
  const columns = lines
    .map(([metric, label]) => ({ label, values: rows.map((line) => valueOf(line, metric, per)) }))
    .filter(({ values }) => values.some((value) => value !== null && (!hidesZero || value !== 0)));
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
