import type { Metric } from './types.js';

/** Combines the metrics of several loss calls: sums and counts add up, maxima keep the larger. */
export function mergeMetrics(parts: readonly Record<string, Metric>[]): Record<string, Metric> {
  const merged: Record<string, Metric> = {};
  for (const part of parts)
    for (const [name, metric] of Object.entries(part)) merged[name] = mergeTwo(name, merged[name], metric);
  return merged;
}

function mergeTwo(name: string, a: Metric | undefined, b: Metric): Metric {
  if (a === undefined) return b;
  if ('max' in a && 'max' in b) return { max: Math.max(a.max, b.max) };
  if ('sum' in a && 'sum' in b) return { sum: a.sum + b.sum, count: a.count + b.count };
  throw new TypeError(`metric ${name} is a mean in one call and a maximum in another`);
}

/** One number for each metric; a mean over nothing is left out. */
export function metricValues(metrics: Readonly<Record<string, Metric>>): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [name, metric] of Object.entries(metrics)) {
    if ('max' in metric) values[name] = metric.max;
    else if (metric.count > 0) values[name] = metric.sum / metric.count;
  }
  return values;
}
