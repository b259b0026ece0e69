import { type Command, Option } from 'commander';
import { MATHS_PROFILES } from '../../tasks/index.js';
import { validateCommand, type ValidateOptions } from '../grade.js';
import type { Io } from '../io.js';
import { examples, withCommonOptions } from '../options.js';

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
  examples(command, ['hone data validate problems.jsonl']);
}
