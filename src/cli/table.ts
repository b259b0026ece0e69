import Table from 'cli-table3';
import type { Io } from './io.js';
import { plainText } from './text.js';

/** Rows as aligned columns without rules; cells may come from anywhere. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], io: Io): string {
  const layout = new Table({
    head: head.map((cell) => io.color.bold(cell)),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(LINES.map((name) => [name, ''])),
  });
  for (const row of rows) layout.push(row.map(plainText));
  return layout
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const LINES = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
] as const;
