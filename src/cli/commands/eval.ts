import { type Command, Option } from 'commander';
import { runEval, type EvalCommandOptions } from '../eval.js';
import type { Io } from '../io.js';
import {
  engineOption,
  examples,
  keyValue,
  numberIn,
  seedOption,
  threadsOption,
  wholeNumber,
  withCommonOptions,
} from '../options.js';

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description('Accuracy of a model on a task, with a 95 % interval.')
    .argument('<task>', 'a task name (hone tasks list) or the path of a task file')
    .requiredOption('--model <model>', 'model folder, run folder or checkpoint')
    .addOption(new Option('--n <problems>', 'problems to ask').argParser(wholeNumber(1)).default(200))
    .addOption(
      new Option('--k <attempts>', 'attempts per problem (avg@k, pass@k)').argParser(wholeNumber(1)).default(1),
    )
    .addOption(new Option('--temperature <t>', '0: greedy (default: 0 for --k 1, else 1)').argParser(numberIn(0, 100)))
    .addOption(new Option('--top-p <p>', 'nucleus sampling').argParser(numberIn(0, 1)))
    .addOption(
      new Option('--max-tokens <n>', 'longest answer (default: what the task suggests)').argParser(wholeNumber(1)),
    )
    .addOption(new Option('--split <split>', 'which problems').choices(['test', 'train']).default('test'))
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .option('--out <file>', 'write the result and every attempt to this JSON file')
    .addOption(engineOption())
    .addOption(seedOption())
    .addOption(threadsOption())
    .action((task: string, options: EvalCommandOptions) => runEval(task, options, io));
  examples(command, [
    'hone eval countdown --model runs/my-run',
    'hone eval gsm8k --task-option data=./data --model models/smollm2 --n 200 --k 4 --temperature 1',
    'hone eval ./my-task.ts --model models/mine --json',
  ]);
}
