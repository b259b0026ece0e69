import type { Command } from 'commander';
import type { Io } from '../io.js';
import { examples, withCommonOptions } from '../options.js';
import { compareCommand, diffCommand, listCommand, reportCommand, showCommand, tensorboardCommand } from '../runs.js';

export function define(command: Command, io: Io): void {
  const list = withCommonOptions(command.command('list'))
    .description('The runs in a folder.')
    .argument('[folder]', 'where runs are', 'runs')
    .action((folder: string) => listCommand(folder, io));
  examples(list, ['hone runs list', 'hone runs list ~/experiments --json']);
  const show = withCommonOptions(command.command('show'))
    .description('Settings, progress and newest metrics of a run.')
    .argument('<run>', 'run folder')
    .action((run: string) => showCommand(run, io));
  examples(show, ['hone runs show runs/my-run']);
  const compare = withCommonOptions(command.command('compare'))
    .description('Runs side by side: where their settings differ, and their newest metrics.')
    .argument('<runs...>', 'run folders')
    .option(
      '--seeds <metric>',
      'runs that differ in the seed alone as one: means over seeds of this metric, and paired differences with 95 % intervals',
    )
    .action((runs: string[], options: { seeds?: string }) => compareCommand(runs, options, io));
  examples(compare, [
    'hone runs compare runs/grpo-0 runs/dapo-0',
    'hone runs compare runs/lr-*-seed* --seeds val.accuracy',
  ]);
  const diff = withCommonOptions(command.command('diff'))
    .description('What differs between two runs, times left out. Exit code 0: nothing; 1: something.')
    .argument('<run>', 'run folder')
    .argument('<other>', 'run folder to hold against it')
    .action((a: string, b: string) => diffCommand(a, b, io));
  examples(diff, ['hone runs diff runs/a runs/b']);
  const report = withCommonOptions(command.command('report'))
    .description('Writes report.html into the run folder: curves, rollouts, settings, in one file.')
    .argument('<run>', 'run folder')
    .action((run: string) => reportCommand(run, io));
  examples(report, ['hone runs report runs/my-run']);
  const tensorboard = withCommonOptions(command.command('tensorboard'))
    .description('Writes the metrics of a run as TensorBoard event files into its folder.')
    .argument('<run>', 'run folder')
    .action((run: string) => tensorboardCommand(run, io));
  examples(tensorboard, ['hone runs tensorboard runs/my-run']);
  examples(command, ['hone runs list', 'hone runs diff runs/a runs/b']);
}
