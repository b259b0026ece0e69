import { type Command, Option } from 'commander';
import { HoneError } from '../../core/index.js';
import type { Io, JsonValue } from '../io.js';
import { examples, seedOption, threadsOption, withCommonOptions } from '../options.js';

/** `rl`: the quickstart itself. `shuffled`, `sft-only`: its control arms, for `npm run verify -- quickstart-seeds`. */
export const ARMS = ['rl', 'shuffled', 'sft-only'] as const;

export interface QuickstartOptions {
  seed: number;
  /** Run folder to write. */
  out: string | undefined;
  /** A short pass through every stage, to see that it works: no claim about its accuracy. */
  quick: boolean;
  arm: (typeof ARMS)[number];
  threads: number | undefined;
}

/** What `--json` ends with: at least `seconds`, `problems`, `sft.accuracy`, `rl.accuracy` and `gain` in points. */
export type QuickstartResult = { readonly [key: string]: JsonValue };

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description(
      'A tiny model from random weights learns to reason on this machine: warm-start, RL, evaluation, report.',
    )
    .addOption(seedOption())
    .option('--out <folder>', 'run folder to write (default: runs/quickstart-<seed>)')
    .option('--quick', 'a short pass through every stage, to see that it works', false)
    .addOption(new Option('--arm <name>', 'what follows the warm-start').choices(ARMS).default('rl'))
    .addOption(threadsOption())
    .action(async (options: QuickstartOptions) => {
      await runQuickstart(options, io);
    });
  examples(command, ['hone quickstart', 'hone quickstart --seed 3 --out runs/qs3', 'hone quickstart --quick --json']);
}

/** Runs the quickstart and reports through `io`. */
export async function runQuickstart(_options: QuickstartOptions, _io: Io): Promise<QuickstartResult> {
  throw new HoneError('usage', 'the quickstart is not part of this build');
}
