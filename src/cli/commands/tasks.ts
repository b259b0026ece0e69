import { type Command, Option } from 'commander';
import type { Io } from '../io.js';
import { examples, keyValue, seedOption, wholeNumber, withCommonOptions } from '../options.js';
import { listCommand, previewCommand, type PreviewOptions } from '../tasks.js';

export function define(command: Command, io: Io): void {
  const list = withCommonOptions(command.command('list'))
    .description('The tasks that come with hone.')
    .action(() => listCommand(io));
  examples(list, ['hone tasks list', 'hone tasks list --json']);
  const preview = withCommonOptions(command.command('preview'))
    .description('Prints problems, demonstrations and what the grader says of them.')
    .argument('<task>', 'a task name or the path of a task file')
    .addOption(new Option('--n <problems>', 'how many').argParser(wholeNumber(1)).default(3))
    .addOption(new Option('--split <split>', 'which problems').choices(['train', 'test']).default('train'))
    .option('--task-option <name=value>', 'an option of the task, repeatable', keyValue)
    .addOption(seedOption())
    .action((task: string, options: PreviewOptions) => previewCommand(task, options, io));
  examples(preview, ['hone tasks preview countdown --n 5', 'hone tasks preview ./my-task.ts']);
  examples(command, ['hone tasks list', 'hone tasks preview countdown']);
}
