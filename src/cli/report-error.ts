import { type ErrorKind, HoneError, messageOf } from '../core/index.js';
import { explainSystemError } from '../formats/index.js';
import { plainText } from './text.js';

/** Exit code of an error that hone did not throw on purpose: a bug. */
export const BUG_EXIT_CODE = 1;

export interface ErrorReport {
  exitCode: number;
  /** For standard error. */
  text: string;
  /** For standard output under `--json`. */
  json: { error: { kind: string; message: string; where?: string; hint?: string } };
}

/** The way out where an error names none. */
const GENERAL_HINTS: Readonly<Record<ErrorKind, string | undefined>> = {
  usage: 'The command with --help shows what there is.',
  input: 'Mend what is named above, or give another.',
  resource: 'hone doctor shows what this machine has; finished checkpoints are kept.',
  numeric: 'Lower the learning rate (--set optimizer.lr=...), and train again.',
  interrupted: undefined,
};

/** System errors that are the machine's state rather than a bug, with the way out of each. */
function fromSystem(error: unknown): HoneError | undefined {
  const path = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  const explained = explainSystemError(error, path);
  return explained instanceof HoneError ? explained : undefined;
}

function bugReport(error: unknown, debug: boolean): ErrorReport {
  const message = plainText(messageOf(error)).split('\n')[0] ?? '';
  const hint =
    'This is a bug in hone. Please report it with the command and the output of the same command with --debug.';
  const stack = debug && error instanceof Error && error.stack !== undefined ? `\n${plainText(error.stack)}` : '';
  return {
    exitCode: BUG_EXIT_CODE,
    text: `error: ${message}\n  way out: ${hint}${stack}`,
    json: { error: { kind: 'bug', message, hint } },
  };
}

/** Turns anything thrown into what the person, the script and the shell get to see. */
export function reportError(thrown: unknown, options: { debug: boolean }): ErrorReport {
  const error = thrown instanceof HoneError ? thrown : fromSystem(thrown);
  if (error === undefined) return bugReport(thrown, options.debug);
  const message = plainText(error.message).replace(/\s*\n\s*/g, ' ');
  const wayOut = error.hint ?? GENERAL_HINTS[error.kind];
  const hint = wayOut === undefined ? undefined : plainText(wayOut);
  const stack = options.debug && error.stack !== undefined ? `\n${plainText(error.stack)}` : '';
  return {
    exitCode: error.exitCode,
    text: `error: ${message}${hint === undefined ? '' : `\n  way out: ${hint}`}${stack}`,
    json: { error: { kind: error.kind, message, where: error.where, hint } },
  };
}
