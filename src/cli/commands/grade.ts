import { type Command, Option } from 'commander';
import { MATHS_PROFILES } from '../../tasks/index.js';
import { explainCommand, pairsCommand, responsesCommand, type ResponsesOptions } from '../grade.js';
import type { Io } from '../io.js';
import { examples, keyValue, seedOption, withCommonOptions } from '../options.js';

const profileOption = (): Option =>
  new Option('--profile <name>', 'rules of grading (docs/graders.md)').choices([...MATHS_PROFILES.keys()]);

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .option('--task <task>', 'a task name or the path of a task file')
    .option('--responses <file>', 'JSONL of {id or index, response}, one a line')
    .addOption(new Option('--split <split>', 'which problems').choices(['train', 'test']).default('test'))
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .addOption(seedOption())
    .action((options: ResponsesOptions) => responsesCommand(options, io));
  examples(command, [
    'hone grade --task gsm8k --responses answers.jsonl',
    'hone grade pairs pairs.jsonl',
    "hone grade explain '\\frac12' '0.5'",
  ]);
  const pairs = withCommonOptions(command.command('pairs'))
    .description('Grades rows {id, gold, pred, kind, expected?}: a verdict a line, then agreement by kind.')
    .argument('<file>', 'JSONL of pairs')
    .addOption(profileOption())
    .action((file: string, options: { profile?: string }) => pairsCommand(file, options, io));
  examples(pairs, ['hone grade pairs cases.jsonl', 'hone grade pairs cases.jsonl --profile dapo --json']);
  const explain = withCommonOptions(command.command('explain'))
    .description('How one answer is read and compared with the gold one.')
    .argument('<gold>', 'the gold answer')
    .argument('<answer>', 'a reply, or the bare answer')
    .addOption(profileOption())
    .action((gold: string, answer: string, options: { profile?: string }) => explainCommand(gold, answer, options, io));
  examples(explain, ["hone grade explain '[-2, 7]' 'x \\in [-2,7]'", "hone grade explain 10 '10%' --profile math"]);
}
