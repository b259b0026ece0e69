import { type Command, Option } from 'commander';
import { withChatModel } from '../chat-model.js';
import { MATHS_PROFILES } from '../../tasks/index.js';
import { validateCommand, type ValidateOptions } from '../grade.js';
import type { Io } from '../io.js';
import { labelDifficulty, type LabelOptions } from '../label-difficulty.js';
import { engineOption, examples, keyValue, numberIn, seedOption, wholeNumber, withCommonOptions } from '../options.js';

export function define(command: Command, io: Io): void {
  const validate = withCommonOptions(command.command('validate'))
    .description('Grades every gold answer against itself; lists rows that are not found correct.')
    .argument('<file>', 'JSONL of problems')
    .option('--field <name>', 'the field of the gold answer', 'answer')
    .addOption(
      new Option('--profile <name>', 'rules of grading (docs/graders.md)')
        .choices([...MATHS_PROFILES.keys()])
        .default('default'),
    )
    .action((file: string, options: ValidateOptions) => validateCommand(file, options, io));
  examples(validate, ['hone data validate problems.jsonl', 'hone data validate problems.jsonl --field solution']);
  defineLabel(command, io);
  examples(command, [
    'hone data validate problems.jsonl',
    'hone data label-difficulty problems.jsonl --model models/smollm2 --out pass-rates.jsonl',
  ]);
}

function defineLabel(command: Command, io: Io): void {
  const label = withChatModel(withCommonOptions(command.command('label-difficulty')))
    .description('Measures how often a model solves each problem; rows that are in the file already are kept.')
    .argument('<task>', 'JSONL of problems, a task, or a task file')
    .addOption(new Option('--k <samples>', 'samples of each problem').argParser(wholeNumber(1)).default(16))
    .requiredOption('--out <file>', 'JSONL of pass rates, to be made or to go on with')
    .option('--as <name>', 'name of the model in the rows (default: as --model or --model-name has it)')
    .addOption(
      new Option('--n <problems>', 'the first so many problems (default: all; of an endless task 200)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--batch <problems>', 'problems asked and written together').argParser(wholeNumber(1)).default(32),
    )
    .addOption(new Option('--temperature <t>', 'of the samples').argParser(numberIn(0.01, 100)).default(1))
    .addOption(new Option('--top-p <p>', 'nucleus sampling').argParser(numberIn(0, 1)))
    .addOption(
      new Option('--max-tokens <n>', 'longest answer (default: what the task suggests)').argParser(wholeNumber(1)),
    )
    .addOption(new Option('--split <split>', 'which problems').choices(['train', 'test']).default('train'))
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .addOption(engineOption())
    .addOption(seedOption())
    .action((task: string, options: LabelOptions) => labelDifficulty(task, options, io));
  examples(label, [
    'hone data label-difficulty problems.jsonl --model models/smollm2 --k 16 --out pass-rates.jsonl',
    'hone data label-difficulty countdown --n 500 --model runs/my-run --as start --out pass-rates.jsonl',
    'hone data label-difficulty gsm8k --endpoint http://localhost:8000/v1 --model-name qwen --out pass-rates.jsonl',
  ]);
}
