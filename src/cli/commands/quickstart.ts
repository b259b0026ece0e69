import { type Command, Option } from 'commander';
import type { Io } from '../io.js';
import { examples, numberIn, seedOption, threadsOption, withCommonOptions } from '../options.js';
import { runQuickstart } from '../quickstart.js';

/** `rl`: the quickstart itself. `shuffled`, `sft-only`: its control arms, for `npm run verify -- quickstart-seeds`. */
export const ARMS = ['rl', 'shuffled', 'sft-only'] as const;

export interface QuickstartOptions {
  seed: number;
  /** Run folder to write. */
  out: string | undefined;
  /** A short pass through every stage, to see that it works: no claim about its accuracy. */
  quick: boolean;
  arm: (typeof ARMS)[number];
  /** `sft-only`: how long it imitates on, in seconds; give it the time that RL took. */
  armSeconds: number;
  threads: number | undefined;
}

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description(
      'A tiny model from random weights learns to reason on this machine: warm-start, RL, evaluation, report.',
    )
    .addOption(seedOption())
    .option('--out <folder>', 'run folder to write (default: runs/quickstart-<seed>)')
    .option('--quick', 'a short pass through every stage, to see that it works', false)
    .addOption(new Option('--arm <name>', 'what follows the warm-start').choices(ARMS).default('rl'))
    .addOption(
      new Option('--arm-seconds <s>', 'with --arm sft-only: how long to imitate on')
        .argParser(numberIn(1, 3600))
        .default(60),
    )
    .addOption(threadsOption())
    .action(async (options: QuickstartOptions) => {
      await runQuickstart(options, io);
    });
  examples(command, ['hone quickstart', 'hone quickstart --seed 3 --out runs/qs3', 'hone quickstart --quick --json']);
}
