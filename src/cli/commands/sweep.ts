import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Io } from '../io.js';
import { examples, keyValue, threadsOption, wholeNumber, withCommonOptions } from '../options.js';
import { runSweep, type SweepOptions } from '../sweep.js';

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description('Trains a recipe over a grid of settings and seeds; called again, it goes on where it was.')
    .argument('<recipe>', 'recipe name (hone recipes list)')
    .requiredOption('--model <model>', 'model folder, run folder, or tiny | random:<preset> for random weights')
    .option('--task <task>', 'a task name (hone tasks list) or the path of a task file')
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .option('--preset <name>', 'values of the recipe', 'mini')
    .option('--set <path=value>', 'change one setting in all runs, repeatable', keyValue)
    .option('--grid <path=value,value>', 'an axis of the grid, repeatable', keyValue)
    .addOption(new Option('--seeds <list>', 'seeds of every point').argParser(seedList).default([1, 2, 3], '1,2,3'))
    .option('--accept-assumed', 'as for hone train', false)
    .requiredOption('--out <folder>', 'folder for the run folders')
    .addOption(new Option('--jobs <n>', 'runs at once; they share the cores').argParser(wholeNumber(1)).default(1))
    .option('--metric <name>', 'what the points are compared by', 'accuracy')
    .addOption(threadsOption())
    .action((recipe: string, options: SweepOptions) => runSweep(recipe, options, io));
  examples(command, [
    'hone sweep grpo --model runs/warm --task countdown --grid optimizer.lr=1e-4,3e-4 --out runs/lr',
    'hone sweep dapo --model runs/warm --task last-digit --grid loss.clipHigh=0.2,0.28 --set validation.every=10 --metric val.accuracy --out runs/clip',
  ]);
}

function seedList(text: string): number[] {
  const seeds = text.split(',').map((part) => wholeNumber(0)(part));
  if (new Set(seeds).size < seeds.length) throw new InvalidArgumentError('Give every seed once.');
  return seeds;
}
