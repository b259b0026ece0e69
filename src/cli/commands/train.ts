import { type Command, Option } from 'commander';
import { adapterOptions } from '../adapter-options.js';
import type { Io } from '../io.js';
import {
  engineOption,
  examples,
  keyValue,
  seedOption,
  threadsOption,
  wholeNumber,
  withCommonOptions,
} from '../options.js';
import { runTrain, type TrainCommandOptions } from '../train.js';

export function define(command: Command, io: Io): void {
  const { rank, alpha, targets } = adapterOptions();
  withCommonOptions(command)
    .description('Trains a model with a recipe and writes a run folder.')
    .argument('<recipe>', 'sft, grpo, dapo (hone recipes list)')
    .requiredOption('--model <model>', 'model folder, run folder, or tiny | random:<preset> for random weights')
    .option('--task <task>', 'a task name (hone tasks list) or the path of a task file')
    .option('--data <file>', 'sft: chats to imitate, one {"messages": [...]} a line')
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .addOption(
      new Option('--style <style>', 'sft --task: straight solutions, or trial and error with checking')
        .choices(['plain', 'search'])
        .default('search'),
    )
    .addOption(
      new Option('--demonstrations <n>', 'sft --task: so many different ones (default: no end)').argParser(
        wholeNumber(1),
      ),
    )
    .option('--preset <name>', 'values of the recipe: mini runs on a laptop, paper is as published', 'mini')
    .option('--set <path=value>', 'change one setting of the recipe, repeatable', keyValue)
    .option('--accept-assumed', 'run a preset whose paper leaves values open (hone recipes show lists them)', false)
    .addOption(rank)
    .addOption(alpha)
    .addOption(targets)
    .addOption(engineOption())
    .option('--out <folder>', 'run folder to write (default: runs/<recipe>-<task>-<seed>)')
    .option('--tensorboard', 'write TensorBoard event files into the run folder as it goes', false)
    .addOption(seedOption())
    .addOption(threadsOption())
    .addOption(
      new Option(
        '--tokens-per-micro-batch <n>',
        'tokens of one training pass: less memory, not another result (default: by the model)',
      ).argParser(wholeNumber(16)),
    )
    .addOption(
      new Option('--sampling-slots <n>', 'answers sampled at once: memory against speed (default: 64)').argParser(
        wholeNumber(1),
      ),
    )
    .action((recipe: string, options: TrainCommandOptions) => runTrain(recipe, options, io));
  examples(command, [
    'hone train sft --model tiny --task countdown --out runs/warm',
    'hone train dapo --model runs/warm --task countdown',
    'hone train grpo --model models/smollm2 --task gsm8k --task-option data=./data --set iterations=20',
    'hone train sft --model models/smollm2 --data chat.jsonl',
    'hone train sft --model models/smollm2 --data chat.jsonl --lora 16',
  ]);
}
