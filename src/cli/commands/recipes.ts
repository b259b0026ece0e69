import type { Command } from 'commander';
import type { Io } from '../io.js';
import { examples, withCommonOptions } from '../options.js';
import { diffCommand, listCommand, showCommand } from '../recipes.js';

export function define(command: Command, io: Io): void {
  const list = withCommonOptions(command.command('list'))
    .description('The recipes, one for each published system.')
    .action(() => listCommand(io));
  examples(list, ['hone recipes list']);
  const show = withCommonOptions(command.command('show'))
    .description('Every setting of a recipe with its value, source and status (paper, code, assumed).')
    .argument('<recipe>', 'recipe name')
    .option('--preset <name>', 'which values: mini runs on a laptop, paper is as published', 'mini')
    .action((name: string, options: { preset: string }) => showCommand(name, options, io));
  examples(show, ['hone recipes show grpo', 'hone recipes show dapo --preset paper']);
  const diff = withCommonOptions(command.command('diff'))
    .description('The settings in which two recipes differ, each with its status.')
    .argument('<recipe>', 'recipe name')
    .argument('<other>', 'recipe name to hold against it')
    .option('--preset <name>', 'which values: mini or paper', 'paper')
    .action((a: string, b: string, options: { preset: string }) => diffCommand(a, b, options, io));
  examples(diff, ['hone recipes diff grpo dapo', 'hone recipes diff grpo dapo --preset mini --json']);
  examples(command, ['hone recipes list', 'hone recipes show dapo --preset paper']);
}
