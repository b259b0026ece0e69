import { z } from 'zod';
import type { Json, MetricsLine } from '../types.js';

const interval = z.union([
  z.tuple([z.number(), z.number()]),
  z.object({ low: z.number(), high: z.number() }).transform(({ low, high }): [number, number] => [low, high]),
]);
const measureSchema = z.object({
  accuracy: z.number(),
  ci95: interval.optional(),
  n: z.number().optional(),
  k: z.number().optional(),
});

export interface Measure {
  accuracy: number;
  ci95?: [number, number] | undefined;
  n?: number | undefined;
  /** Samples a problem; the accuracy is their mean (avg@k). */
  k?: number | undefined;
}
/** One measure before and after training. */
export interface Comparison {
  label: string;
  before: Measure;
  after: Measure;
}

/** Names under which a result file keeps the two sides, in order of preference. */
const SIDES = [
  ['before', 'after'],
  ['sft', 'rl'],
  ['base', 'trained'],
] as const;

/**
 * Pairs of `{accuracy, ci95?, n?}` (shares, 0 to 1) that a result file holds under `before`/`after` or `sft`/`rl`:
 * directly, or one level down under equal names (`sft.greedy`, `rl.greedy`).
 */
export function readComparisons(result: Json | undefined): { sides: readonly [string, string]; rows: Comparison[] } {
  for (const [before, after] of SIDES) {
    const rows = pairUp(child(result, before), child(result, after));
    if (rows.length > 0) return { sides: [before, after], rows };
  }
  return { sides: ['before', 'after'], rows: [] };
}

function pairUp(before: Json | undefined, after: Json | undefined): Comparison[] {
  const names = typeof before === 'object' && before !== null ? Object.keys(before) : [];
  const nested = names.flatMap((name) => pairOf(name, child(before, name), child(after, name)));
  // Where parts are named, the number above them repeats one of them.
  return nested.length > 0 ? nested : pairOf('accuracy', before, after);
}

function pairOf(label: string, before: Json | undefined, after: Json | undefined): Comparison[] {
  const [a, b] = [measureSchema.safeParse(before), measureSchema.safeParse(after)];
  return a.success && b.success ? [{ label, before: a.data, after: b.data }] : [];
}

export function child(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name) as Json;
}

/** Seconds of all iterations, from their readings `timing.*_s`; undefined when none was taken. */
export function totalSeconds(metrics: readonly MetricsLine[]): number | undefined {
  const readings = metrics.flatMap(({ timing }) => Object.entries(timing ?? {}).filter(([key]) => key.endsWith('_s')));
  const seconds = readings.filter(([key]) => !key.endsWith('_per_s')).reduce((sum, [, value]) => sum + value, 0);
  return seconds > 0 ? seconds : undefined;
}

/** 75 -> `1 min 15 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Mean of a metric over the first and over the last few lines that have it. */
export function edges(
  metrics: readonly MetricsLine[],
  metric: string,
): { early: number; late: number; n: number } | undefined {
  const values = metrics.map((line) => line[metric]).filter((value) => typeof value === 'number');
  if (values.length < 2) return undefined;
  const n = Math.min(5, Math.floor(values.length / 2));
  const mean = (some: readonly number[]): number => some.reduce((sum, value) => sum + value, 0) / some.length;
  return { early: mean(values.slice(0, n)), late: mean(values.slice(-n)), n };
}
