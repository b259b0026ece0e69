import path from 'node:path';
import type { EvalResult } from '../evals/index.js';
import type { Io, JsonValue } from './io.js';
import type { Stage } from './quickstart-result.js';
import { table } from './table.js';
import { oneLine, shellWord } from './text.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function measure({ accuracy, ci95 }: EvalResult): string {
  return `${percent(accuracy)} [${ci95.map((end) => (100 * end).toFixed(1)).join(', ')}]`;
}

function gain(points: JsonValue | undefined): string {
  return typeof points === 'number' ? `${points >= 0 ? '+' : ''}${points.toFixed(1)} points` : '';
}

/** Attempts on lines of their own, so that the search can be followed. */
function attempts(text: string): string[] {
  return oneLine(text, 2000)
    .replaceAll('x', 'x\n')
    .split('\n')
    .map((line) => `      ${line}`);
}

function rollouts(before: EvalResult, after: EvalResult, io: Io): string[] {
  const first = ({ rows }: EvalResult) => rows.filter(({ sample }) => sample === 0).slice(0, 3);
  const late = first(after);
  const verdict = (row: EvalResult['rows'][number]): string =>
    row.verdict.status === 'correct' ? io.color.green('right') : io.color.red(`wrong: ${row.verdict.reason}`);
  return first(before).flatMap((row, i) => {
    const then = late[i];
    if (!then) return [];
    return [
      `\n  ${io.color.bold(oneLine(row.prompt, 100))}`,
      `    before (${verdict(row)})`,
      ...attempts(row.text),
      `    after (${verdict(then)})`,
      ...attempts(then.text),
    ];
  });
}

/** What a person sees at the end. */
export function printQuickstart(
  result: { readonly [key: string]: JsonValue | undefined },
  before: Stage,
  after: Stage,
  out: string,
  io: Io,
): void {
  const rows = [
    ['greedy', measure(before.greedy), measure(after.greedy), gain(result['gain'])],
    [`avg@${before.sampled.k}`, measure(before.sampled), measure(after.sampled), gain(result['gainAvg4'])],
    ['well-formed', percent(before.sampled.wellFormed ?? 0), percent(after.sampled.wellFormed ?? 0), ''],
  ];
  io.print(`\n${table([`${before.greedy.n} held-out problems`, 'warm-start', 'now', 'gain'], rows, io)}`);
  io.print('\nThe first three problems, one sample each (x: wrong, try again; !: claim; ?: give up):');
  for (const line of rollouts(before.sampled, after.sampled, io)) io.print(line);
  const shown = shellWord(out);
  io.print(
    `\nReport:  ${path.join(oneLine(out, 1000), 'report.html')}   (${Number(result['seconds']).toFixed(0)} s in all)`,
  );
  io.print('Next:');
  io.print(`  hone eval last-digit --model ${shown} --n 500 --k 4 --task-option check=restate`);
  io.print(`  hone sample --model ${shown} --prompt "9 2 9>2:"`);
  io.print('  hone quickstart --seed 2                      another seed: does it hold?');
  io.print('  hone tasks list                               other tasks; docs/tasks.md shows how to write your own');
}
