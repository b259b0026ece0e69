import path from 'node:path';
import { HoneError } from '../core/index.js';

/** One run of a sweep. */
export interface SweepRun {
  /** Its settings and seed, as a folder name. */
  name: string;
  /** Index of the point of the grid; runs of one point differ in the seed alone. */
  point: number;
  /** What this point sets, `path=value`. */
  settings: string[];
  seed: number;
  /** Run folder. */
  out: string;
}

/** `optimizer.lr=1e-4,3e-4`, as `--grid` is given: values are cut at commas outside of brackets. */
export type GridAxis = readonly [path: string, values: string];

const LONGEST_NAME = 120;

/**
 * Every point of the grid under every seed, points in the order of the axes (the last one varies fastest).
 * @throws HoneError('usage') for an axis without values, an axis named twice, and two runs of one name.
 */
export function sweepPlan(axes: readonly GridAxis[], seeds: readonly number[], out: string): SweepRun[] {
  const twice = axes.find(([name], i) => axes.findIndex(([other]) => other === name) !== i);
  if (twice)
    throw new HoneError('usage', 'is given twice', {
      where: `--grid ${twice[0]}`,
      hint: 'Give all its values at once.',
    });
  const points = axes.reduce<string[][]>(
    (grid, axis) => grid.flatMap((point) => valuesOf(axis).map((value) => [...point, `${axis[0]}=${value}`])),
    [[]],
  );
  const runs = points.flatMap((settings, point) =>
    seeds.map((seed) => {
      const name = `${nameOf(settings)}-seed${seed}`;
      return { name, point, settings, seed, out: path.join(out, name) };
    }),
  );
  const same = runs.find(({ name }, i) => runs.findIndex((other) => other.name === name) !== i);
  if (same)
    throw new HoneError('usage', `two runs would be called ${same.name}`, { hint: 'Give each value and seed once.' });
  return runs;
}

function valuesOf([name, text]: GridAxis): string[] {
  const values = splitOutside(text).map((value) => value.trim());
  if (values.length > 0 && values.every((value) => value !== '')) return values;
  throw new HoneError('usage', `has an empty value in "${text}"`, {
    where: `--grid ${name}`,
    hint: 'Write it as path=value,value.',
  });
}

/** Cuts at commas that are outside of [ ], { } and quotes. */
function splitOutside(text: string): string[] {
  const parts = [''];
  let depth = 0;
  let quoted = false;
  for (const sign of text) {
    if (sign === '"') quoted = !quoted;
    else if (!quoted && '[{'.includes(sign)) depth++;
    else if (!quoted && ']}'.includes(sign)) depth--;
    if (sign === ',' && depth === 0 && !quoted) parts.push('');
    else parts[parts.length - 1] += sign;
  }
  return parts;
}

/** The last part of each path with its value; characters that a file name should not have become dashes. */
function nameOf(settings: readonly string[]): string {
  if (settings.length === 0) return 'run';
  const words = settings.map((setting) => setting.slice(setting.lastIndexOf('.', setting.indexOf('=')) + 1));
  return words
    .join(' ')
    .replace(/[^\w.=-]+/g, '-')
    .slice(0, LONGEST_NAME);
}
