import { type Command, Option } from 'commander';
import type { Io } from '../io.js';
import {
  engineOption,
  examples,
  numberIn,
  seedOption,
  threadsOption,
  wholeNumber,
  withCommonOptions,
} from '../options.js';
import { runSample, type SampleCommandOptions } from '../sample.js';

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description('Lets a model go on from a prompt, a chat, or standard input.')
    .requiredOption('--model <model>', 'model folder, run folder or checkpoint')
    .option('--prompt <text>', 'text; goes through the chat template where the model has one')
    .option('--messages <file>', 'JSON file with [{"role": "user", "content": "..."}, ...]')
    .option('--raw', 'do not use the chat template', false)
    .addOption(new Option('--n <attempts>', 'answers to draw').argParser(wholeNumber(1)).default(1))
    .addOption(new Option('--temperature <t>', '0: greedy').argParser(numberIn(0, 100)).default(1))
    .addOption(new Option('--top-p <p>', 'nucleus sampling').argParser(numberIn(0, 1)))
    .addOption(new Option('--top-k <k>', 'the k likeliest tokens only').argParser(wholeNumber(1)))
    .addOption(new Option('--min-p <p>', 'drop tokens below this share of the likeliest').argParser(numberIn(0, 1)))
    .addOption(new Option('--max-tokens <n>', 'longest answer').argParser(wholeNumber(1)).default(256))
    .option('--stop <text...>', 'strings that end an answer')
    .addOption(engineOption())
    .addOption(seedOption())
    .addOption(threadsOption())
    .action((options: SampleCommandOptions) => runSample(options, io));
  examples(command, [
    'hone sample --model models/smollm2 --prompt "What is 17 * 23?"',
    'echo "Once upon a time" | hone sample --model models/smollm2 --raw --n 3',
    'hone sample --model runs/my-run --messages chat.json --temperature 0 --json',
  ]);
}
