import { type Command, Option } from 'commander';
import { HoneError } from '../../core/index.js';
import type { Io } from '../io.js';
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

/** Accuracy on the held-out problems at one point of the quickstart; shares from 0 to 1. */
export interface QuickstartStage {
  /** Greedy. */
  accuracy: number;
  ci95: readonly [number, number];
  /** Mean over four samples a problem at temperature 1. */
  avg4: number;
  avg4ci95: readonly [number, number];
  /** Share of greedy answers that keep the task's format. */
  wellFormed: number;
}

/** What `--json` ends with; verify/checks/quickstart-seeds.ts reads it. */
export interface QuickstartResult {
  seconds: number;
  /** Held-out problems. */
  problems: number;
  sft: QuickstartStage;
  /** After RL; in a control arm, after that arm. */
  rl: QuickstartStage;
  /** Points from sft to rl, greedy. */
  gain: number;
  /** Points from sft to rl, avg@4. */
  gainAvg4: number;
  /** Run folder of the RL stage. */
  run: string;
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
