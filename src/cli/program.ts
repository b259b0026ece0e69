import { Command, CommanderError } from 'commander';
import { HoneError } from '../core/index.js';
import type { Io } from './io.js';
import { version } from './version.js';

/** A command's own file: adds arguments, options, examples and the action. */
export type DefineCommand = (command: Command, io: Io) => void;

interface Entry {
  name: string;
  summary: string;
  load(): Promise<{ define: DefineCommand }>;
}

/** Every command, in the order of `hone --help`. Only the one that is asked for is loaded. */
export const COMMANDS: readonly Entry[] = [
  {
    name: 'quickstart',
    summary: 'watch a tiny model learn to reason on this machine, in minutes',
    load: () => import('./commands/quickstart.js'),
  },
  {
    name: 'train',
    summary: 'train a model with a recipe (sft, grpo, dapo)',
    load: () => import('./commands/train.js'),
  },
  {
    name: 'sweep',
    summary: 'train a recipe over a grid of settings and seeds',
    load: () => import('./commands/sweep.js'),
  },
  { name: 'resume', summary: 'go on with a run that was stopped', load: () => import('./commands/resume.js') },
  {
    name: 'eval',
    summary: 'measure accuracy on a task, with a 95 % interval',
    load: () => import('./commands/eval.js'),
  },
  { name: 'sample', summary: 'let a model answer a prompt', load: () => import('./commands/sample.js') },
  {
    name: 'think',
    summary: 'answer a question by a method of thinking',
    load: () => import('./commands/think.js'),
  },
  {
    name: 'serve',
    summary: 'serve a model over the OpenAI API, thinking longer where asked',
    load: () => import('./commands/serve.js'),
  },
  { name: 'models', summary: 'import, export and inspect models', load: () => import('./commands/models.js') },
  { name: 'tasks', summary: 'list tasks and preview their problems', load: () => import('./commands/tasks.js') },
  {
    name: 'grade',
    summary: 'grade responses, pairs of answers, or one pair with the reasons',
    load: () => import('./commands/grade.js'),
  },
  {
    name: 'data',
    summary: 'check problems before training on them, and measure how hard they are',
    load: () => import('./commands/data.js'),
  },
  { name: 'recipes', summary: 'list recipes and show their settings', load: () => import('./commands/recipes.js') },
  { name: 'runs', summary: 'list, show, compare and diff runs', load: () => import('./commands/runs.js') },
  { name: 'doctor', summary: 'what this machine can do', load: () => import('./commands/doctor.js') },
];

/** The command the arguments name (`hone help train` names train), or undefined. */
function requested(args: readonly string[]): string | undefined {
  const names = args.filter((arg) => !arg.startsWith('-'));
  return names[0] === 'help' ? names[1] : names[0];
}

/** Builds the program with the asked-for command in full and the others as names. */
export async function buildProgram(args: readonly string[], io: Io): Promise<Command> {
  const program = new Command('hone')
    .description('Reasoning models, end to end: warm-start, reinforce with verifiable rewards, evaluate.')
    .version(version(), '-V, --version', 'print the version')
    .exitOverride()
    // Usage errors are thrown, and reported by main in the same shape as every other error.
    .configureOutput({ outputError: () => {}, writeOut: (text) => io.print(text.replace(/\n$/, '')) })
    .configureHelp({ helpWidth: io.width, sortSubcommands: false })
    .showSuggestionAfterError(true)
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  $ hone quickstart\n  $ hone train sft --model tiny --task countdown --out runs/warm\n  $ hone train --help',
    );
  const wanted = requested(args);
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).summary(entry.summary).description(capitalise(entry.summary));
    if (entry.name === wanted) (await entry.load()).define(command, io);
  }
  return program;
}

function capitalise(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Codes by which commander says that it has printed what was asked for. */
const DONE = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/**
 * Runs one command line. @throws HoneError of kind `usage` on unknown commands and options (with a suggestion), and
 * whatever the command throws.
 */
export async function runProgram(args: readonly string[], io: Io): Promise<void> {
  const program = await buildProgram(args, io);
  if (args.length === 0) {
    program.outputHelp();
    return;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (DONE.has(error.code) && error.exitCode === 0) return;
    throw usageError(error, commandLine(program, args));
  }
}

/** Ways out of mistakes that commander words for programmers, by command line and code. */
const HINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'hone sample': {
    'commander.excessArguments': 'Give the text with --prompt: hone sample --model MODEL --prompt "TEXT"',
    'commander.missingMandatoryOptionValue': 'Name the model and the text: hone sample --model MODEL --prompt "TEXT"',
  },
  'hone runs diff': {
    'commander.missingArgument': 'Name two run folders: hone runs diff runs/a runs/b',
    'commander.excessArguments': 'Name two run folders; hone runs compare takes more of them.',
  },
};

/** The command or subcommand that the arguments name, as a person types it: `hone models export`. */
function commandLine(program: Command, args: readonly string[]): string {
  let command = program;
  const path = ['hone'];
  for (const word of args.filter((arg) => !arg.startsWith('-'))) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    path.push(word);
    command = next;
  }
  return path.join(' ');
}

function usageError(error: CommanderError, line: string): HoneError {
  if (DONE.has(error.code))
    return new HoneError('usage', 'a subcommand is missing', { hint: `${line} --help lists them.` });
  const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return new HoneError('usage', message, { hint: HINTS[line]?.[error.code] ?? `${line} --help shows what there is.` });
}
