import { HoneError, mean, studentT95, variance } from '../core/index.js';
import { metricValue } from './compare.js';
import { readRun } from './reader.js';
import type { Json } from './types.js';

/** Runs that differ in the seed alone. */
export interface SeedGroup {
  name: string;
  /** Run folders. */
  runs: readonly string[];
}

/** A mean over seeds with its 95 % t interval; the interval is undefined for a single seed. */
export interface OverSeeds {
  mean: number;
  ci95: readonly [number, number] | undefined;
}

export interface SeedComparison {
  metric: string;
  groups: (OverSeeds & { name: string; seeds: number[]; values: number[] })[];
  /** Group i + 1 against the first, paired by seed; undefined where they share fewer than two seeds. */
  differences: ({ name: string; seeds: number[]; values: number[] } & OverSeeds)[];
}

/**
 * Groups of runs by one metric, taken from the last line that has it, and their differences from the first group with a
 * 95 % t interval over the seeds they share: what varies from seed to seed alike in both cancels.
 * @throws HoneError('input') where a run lacks the metric, or two runs of a group have one seed.
 */
export async function compareOverSeeds(groups: readonly SeedGroup[], metric: string): Promise<SeedComparison> {
  const read = await Promise.all(groups.map(async ({ name, runs }) => ({ name, values: await bySeed(runs, metric) })));
  const [first] = read;
  return {
    metric,
    groups: read.map(({ name, values }) => ({ name, ...summary([...values.keys()], [...values.values()]) })),
    differences: read.slice(1).flatMap(({ name, values }) => {
      const seeds = [...values.keys()].filter((seed) => first?.values.has(seed));
      if (seeds.length < 2) return [];
      const differences = seeds.map((seed) => (values.get(seed) as number) - (first?.values.get(seed) as number));
      return [{ name, ...summary(seeds, differences) }];
    }),
  };
}

function summary(seeds: number[], values: number[]): OverSeeds & { seeds: number[]; values: number[] } {
  const centre = mean(values);
  if (values.length < 2) return { seeds, values, mean: centre, ci95: undefined };
  const half = studentT95(values.length - 1) * Math.sqrt(variance(values) / values.length);
  return { seeds, values, mean: centre, ci95: [centre - half, centre + half] };
}

async function bySeed(paths: readonly string[], metric: string): Promise<Map<number, number>> {
  const values = new Map<number, number>();
  for (const path of paths) {
    const run = await readRun(path);
    const found = (await run.readMetrics()).map((line) => metricValue(line, metric)).findLast((x) => x !== undefined);
    if (found === undefined)
      throw new HoneError('input', `has no ${metric}`, {
        where: `${path}/metrics.jsonl`,
        hint: 'Name a metric of the runs with --metric (hone runs show lists them); val.* needs validation.every above 0.',
      });
    const { seed } = run.manifest;
    if (values.has(seed))
      throw new HoneError('input', `has seed ${seed}, as another run of its settings`, {
        where: path,
        hint: 'Leave one of them out.',
      });
    values.set(seed, found);
  }
  return values;
}

/** Options that say where a run is and how fast, not what it does. */
const NOT_SETTINGS = new Set(['out', 'name', 'path', 'root', 'threads']);

/**
 * Runs in groups that share recipe and settings and differ in the seed, named by what sets them apart.
 * @throws HoneError('input') when one is not a run
 */
export async function groupBySettings(paths: readonly string[]): Promise<SeedGroup[]> {
  const runs = await Promise.all(paths.map(readRun));
  const settings = runs.map((run) =>
    leaves({ recipe: run.file.recipe, ...withoutPlaces(run.file.config as Record<string, Json>) }),
  );
  const varying = [...new Set(settings.flatMap((of) => [...of.keys()]))].filter((key) =>
    settings.some((of) => of.get(key) !== settings[0]?.get(key)),
  );
  const groups = new Map<string, string[]>();
  settings.forEach((of, i) => {
    const name = varying.map((key) => `${key.replace(/^training\./, '')}=${of.get(key) ?? 'none'}`).join(' ');
    groups.set(name, [...(groups.get(name) ?? []), paths[i] as string]);
  });
  return [...groups].map(([name, members]) => ({ name: name || 'all', runs: members }));
}

function withoutPlaces(config: Readonly<Record<string, Json>>): Record<string, Json> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !NOT_SETTINGS.has(key)));
}

/** Dotted path to JSON text of every leaf. */
function leaves(value: Json, path = '', found = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null) return found.set(path, JSON.stringify(value));
  for (const [key, item] of Object.entries(value)) leaves(item as Json, path === '' ? key : `${path}.${key}`, found);
  return found;
}
