import { diffJson } from './diff.js';
import { readRun, type RunReader } from './reader.js';
import type { Json, MetricsLine } from './types.js';

/** How one run did by one metric over its iterations; null where it never was a number. */
export interface MetricSummary {
  first: number | null;
  last: number | null;
  min: number | null;
  max: number | null;
}

export interface RunComparison {
  runs: { path: string; name: string; recipe: string; seed: number; iterations: number }[];
  /** values[i] belongs to runs[i]. */
  metrics: { metric: string; values: MetricSummary[] }[];
  /** Numbers of result.json by dotted path; values[i] is null where run i has none. */
  results: { metric: string; values: (number | null)[] }[];
  /** Options in which at least one run differs from the first. */
  config: { option: string; values: (Json | undefined)[] }[];
}

/** The metrics that `compareRuns` shows when none are chosen, in this order. */
export const COMPARED_METRICS: readonly string[] = [
  'accuracy',
  'val.accuracy',
  'reward.mean',
  'loss',
  'val.loss',
  'length.mean',
  'entropy',
  'grad_norm',
  'agreement.max_abs',
];

/**
 * Two or more runs side by side.
 * @param metrics keys of metrics lines; default COMPARED_METRICS, those that no run has left out
 * @throws HoneError('input') when one is not a run
 */
export async function compareRuns(paths: readonly string[], metrics?: readonly string[]): Promise<RunComparison> {
  const runs = await Promise.all(paths.map(readRun));
  const lines = await Promise.all(runs.map((run) => run.readMetrics()));
  const results = await Promise.all(runs.map(async (run) => numbersOf(await run.readResult('result.json'))));
  const rows = (metrics ?? COMPARED_METRICS).map((metric) => ({
    metric,
    values: lines.map((of) => summariseMetric(of, metric)),
  }));
  const named = [...new Set(results.flatMap((numbers) => [...numbers.keys()]))];
  return {
    runs: runs.map((run, i) => ({
      path: run.path,
      name: run.manifest.name,
      recipe: run.manifest.recipe,
      seed: run.manifest.seed,
      iterations: lines[i]?.at(-1)?.iteration ?? 0,
    })),
    metrics: rows.filter((row) => metrics !== undefined || row.values.some((value) => value.last !== null)),
    results: named.map((metric) => ({ metric, values: results.map((numbers) => numbers.get(metric) ?? null) })),
    config: compareConfigs(runs),
  };
}

/** First, last, least and greatest value of one metric. */
export function summariseMetric(lines: readonly MetricsLine[], metric: string): MetricSummary {
  const values = lines.map((line) => metricValue(line, metric)).filter((value) => value !== undefined);
  if (values.length === 0) return { first: null, last: null, min: null, max: null };
  return {
    first: values[0] ?? null,
    last: values.at(-1) ?? null,
    min: values.reduce((x, y) => Math.min(x, y)),
    max: values.reduce((x, y) => Math.max(x, y)),
  };
}

/** A metric of one line by its key; `timing.x` reads the wall-clock readings. */
export function metricValue(line: MetricsLine, metric: string): number | undefined {
  const value = metric.startsWith('timing.') ? line.timing?.[metric.slice('timing.'.length)] : line[metric];
  return typeof value === 'number' ? value : undefined;
}

function numbersOf(value: Json | undefined, path = '', found = new Map<string, number>()): Map<string, number> {
  if (typeof value === 'number') found.set(path, value);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) numbersOf(item, path === '' ? key : `${path}.${key}`, found);
  return found;
}

function compareConfigs(runs: readonly RunReader[]): RunComparison['config'] {
  const first = runs[0]?.file.config;
  const options = runs.flatMap((run) => diffJson('config', first, run.file.config).map(({ where }) => where));
  return [...new Set(options)].map((option) => ({
    option,
    values: runs.map((run) => valueAt(run.file.config, option)),
  }));
}

function valueAt(config: Json, option: string): Json | undefined {
  let value: Json | undefined = config;
  for (const key of option.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key) as Json;
  }
  return value;
}
