import { type Command, Option } from 'commander';
import { withChatModel } from '../chat-model.js';
import type { Io } from '../io.js';
import { engineOption, examples, numberIn, seedOption, wholeNumber, withCommonOptions } from '../options.js';
import { runThink, type ThinkCommandOptions } from '../serve.js';

export function define(command: Command, io: Io): void {
  withChatModel(withCommonOptions(command))
    .description('Answers one question by a method of thinking, and shows every call while it runs.')
    .argument('<question>', 'what to ask')
    .option('--method <method>', 'how to think (docs/thinking.md)', 'multi-round:2')
    .option('--system <text>', 'system message')
    .addOption(new Option('--temperature <t>', '0: greedy').argParser(numberIn(0, 100)).default(0.6))
    .addOption(new Option('--top-p <p>', 'nucleus sampling').argParser(numberIn(0, 1)))
    .addOption(new Option('--max-tokens <n>', 'longest answer of a call').argParser(wholeNumber(1)).default(1024))
    .addOption(engineOption())
    .addOption(seedOption())
    .action((question: string, options: ThinkCommandOptions) => runThink(question, options, io));
  examples(command, [
    'hone think "What is 17 * 23?" --model models/smollm2 --method self-consistency:8',
    'hone think "How many primes are below 100?" --endpoint http://localhost:8000/v1 --model-name qwq-32b --method sift',
  ]);
}
