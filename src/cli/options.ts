import { type Command, InvalidArgumentError, Option } from 'commander';

/** `--k 4`: a whole number of at least `low`. */
export function wholeNumber(low: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < low)
      throw new InvalidArgumentError(`Give a whole number of at least ${low}.`);
    return value;
  };
}

/** `--temperature 0.7`: a finite number in [low, high]. */
export function numberIn(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < low || value > high)
      throw new InvalidArgumentError(
        high === Infinity ? `Give a number of at least ${low}.` : `Give a number from ${low} to ${high}.`,
      );
    return value;
  };
}

/** `--set path=value`, repeatable: collects the pairs in order. */
export function keyValue(text: string, previous: readonly [string, string][] = []): [string, string][] {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('Write it as name=value.');
  return [...previous, [text.slice(0, at).trim(), text.slice(at + 1)]];
}

/** Text of an option value as JSON says it (`3`, `true`, `null`, `[1,2]`, `"a"`), else as the text itself. */
export function looseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** Pairs as an object of loose values. */
export function looseObject(pairs: readonly [string, string][] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(([key, value]) => [key, looseValue(value)]));
}

/** Options that every command has. `main` reads them from the command line before any command runs. */
export function withCommonOptions(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print one JSON line on standard output, everything else on standard error'))
    .addOption(new Option('--debug', 'show the stack of an error'));
}

/** `--engine`: only the local one exists; what is not there is refused with what is. */
export function engineOption(): Option {
  return new Option('--engine <name>', 'where the model runs').choices(['local']).default('local');
}

export function seedOption(): Option {
  return new Option('--seed <n>', 'seed of every random draw').argParser(wholeNumber(0)).default(0);
}

export function threadsOption(): Option {
  return new Option('--threads <n>', 'threads of the engine (default: all cores)').argParser(wholeNumber(1));
}

/** Adds the examples that every help page ends with. */
export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
}
