import { type Command, Option } from 'commander';
import { withChatModel } from '../chat-model.js';
import { runEval, type EvalCommandOptions } from '../eval.js';
import { compareCommand, fetchCommand, listCommand, reportCommand } from '../eval-results.js';
import type { Io } from '../io.js';
import { engineOption, examples, keyValue, numberIn, seedOption, wholeNumber, withCommonOptions } from '../options.js';

export function define(command: Command, io: Io): void {
  withChatModel(withCommonOptions(command))
    .description('Accuracy of a model on a task or benchmark, with a 95 % interval.')
    .argument('<task>', 'a benchmark, a task, a .jsonl file or a folder of them, or a task file')
    .option(
      '--method <method>',
      'how to think: direct, multi-round:3, self-consistency:8, sift, ... (docs/thinking.md)',
    )
    .addOption(new Option('--n <problems>', 'problems to ask (default: 200)').argParser(wholeNumber(1)))
    .addOption(
      new Option('--k <attempts>', 'attempts per problem (avg@k, pass@k; default: 1)').argParser(wholeNumber(1)),
    )
    .addOption(new Option('--temperature <t>', '0: greedy (default: 0 for --k 1, else 1)').argParser(numberIn(0, 100)))
    .addOption(new Option('--top-p <p>', 'nucleus sampling').argParser(numberIn(0, 1)))
    .addOption(
      new Option('--max-tokens <n>', 'longest answer (default: what the task suggests)').argParser(wholeNumber(1)),
    )
    .addOption(new Option('--split <split>', 'which problems').choices(['test', 'train']).default('test'))
    .option('--protocol <name>', 'a published way to run a benchmark: paper, lighteval, lm-eval (hone eval list)')
    .option('--data <dir>', 'folder of benchmark files (default: HONE_DATA, or ./data)')
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .option('--out <file>', 'write the result and every attempt to this JSON file')
    .addOption(engineOption())
    .addOption(seedOption())
    .action((task: string, options: EvalCommandOptions) => runEval(task, options, io));
  examples(command, [
    'hone eval countdown --model runs/my-run',
    'hone eval gsm8k --data ./data --model models/smollm2 --n 200 --k 4 --temperature 1',
    'hone eval aime24 --protocol paper --endpoint http://localhost:8000/v1 --model-name qwq-32b --out aime.json',
    'hone eval ./my-problems --endpoint http://localhost:8000/v1 --model-name qwq-32b --method multi-round:2',
    'hone eval compare direct.json multi-round.json',
  ]);
  defineOthers(command, io);
}

function defineOthers(command: Command, io: Io): void {
  const list = withCommonOptions(command.command('list'))
    .description('Benchmarks, their published protocols, and whether their data are here.')
    .option('--data <dir>', 'folder of benchmark files (default: HONE_DATA, or ./data)')
    .action((options: { data?: string }) => listCommand(options, io));
  examples(list, ['hone eval list', 'hone eval list --data ./data --json']);
  const fetching = withCommonOptions(command.command('fetch'))
    .description('Gets the data of a benchmark from the Hugging Face hub, with their licence.')
    .argument('<benchmark>', 'its name (hone eval list)')
    .option('--data <dir>', 'folder of benchmark files (default: HONE_DATA, or ./data)')
    .addOption(new Option('--token <token>', 'access token of the hub, for gated data').env('HF_TOKEN'))
    .action((name: string, options: { data?: string; token?: string }) => fetchCommand(name, options, io));
  examples(fetching, ['hone eval fetch math500 --data ./data']);
  const compare = withCommonOptions(command.command('compare'))
    .description(
      'The difference of two results, paired by problem, with its 95 % interval and the settings that differ.',
    )
    .argument('<a>', 'result file of hone eval --out')
    .argument('<b>', 'result file to hold against it')
    .action((a: string, b: string) => compareCommand(a, b, io));
  examples(compare, ['hone eval compare direct.json sift.json']);
  const report = withCommonOptions(command.command('report'))
    .description('A page that shows results side by side: accuracy against tokens, numbers, settings, answers.')
    .argument('<results...>', 'result files of hone eval --out')
    .option('--out <file>', 'where to write the page', 'eval-report.html')
    .action((files: string[], options: { out: string }) => reportCommand(files, options, io));
  examples(report, ['hone eval report direct.json multi-round.json sift.json --out report.html']);
}
