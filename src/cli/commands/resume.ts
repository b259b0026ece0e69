import type { Command } from 'commander';
import type { Io } from '../io.js';
import { examples, threadsOption, withCommonOptions } from '../options.js';
import { runResume } from '../train.js';

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description('Goes on with a run from its newest whole checkpoint, with the settings it was started with.')
    .argument('<run>', 'run folder')
    .addOption(threadsOption())
    .action((run: string, options: { threads?: number }) => runResume(run, options, io));
  examples(command, ['hone resume runs/my-run', 'hone resume runs/my-run --json']);
}
