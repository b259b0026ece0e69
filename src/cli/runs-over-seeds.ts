import type { OverSeeds, SeedComparison } from '../runs/index.js';
import type { Io } from './io.js';
import { table } from './table.js';
import { oneLine, short } from './text.js';

/** Means over seeds, and what each group gains on the first. */
export function printOverSeeds({ metric, groups, differences }: SeedComparison, io: Io): void {
  const rows = groups.map((group) => [oneLine(group.name), String(group.seeds.length), interval(group)]);
  io.print(table(['settings', 'seeds', metric], rows, io));
  if (differences.length === 0) return;
  io.print(`\nAgainst ${oneLine(groups[0]?.name ?? '')}, paired by seed:`);
  const paired = differences.map((one) => [
    oneLine(one.name),
    one.values.map((value) => (value > 0 ? '+' : '') + short(value)).join(' '),
    interval(one),
  ]);
  io.print(table(['settings', 'by seed', 'mean and 95 % interval'], paired, io));
}

const interval = ({ mean, ci95 }: OverSeeds): string =>
  ci95 === undefined ? short(mean) : `${short(mean)}  [${short(ci95[0])}, ${short(ci95[1])}]`;
