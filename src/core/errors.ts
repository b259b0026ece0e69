/**
 * Exit codes of the command line, and the class of cause behind them.
 * `usage`: the caller asked for something that cannot be (an option, a path, a combination).
 * `input`: data, weights, configuration or a run folder is malformed.
 * `resource`: disk, memory, a lock or a missing optional dependency.
 * `numeric`: training produced NaN or infinity.
 * `interrupted`: the user asked to stop.
 */
export type ErrorKind = 'usage' | 'input' | 'resource' | 'numeric' | 'interrupted';

export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  usage: 2,
  input: 3,
  resource: 4,
  numeric: 5,
  interrupted: 130,
};

/**
 * An error that a person can act on: one line for what is wrong and where, one for the way out.
 * Everything hone throws on purpose is a HoneError; anything else that reaches the command line is a bug.
 */
export class HoneError extends Error {
  readonly kind: ErrorKind;
  /** What to do about it, as an imperative sentence. */
  readonly hint: string | undefined;
  /** Where: `file:line`, a dotted option, a tensor name. */
  readonly where: string | undefined;

  constructor(kind: ErrorKind, message: string, options: { hint?: string; where?: string; cause?: unknown } = {}) {
    super(options.where ? `${options.where}: ${message}` : message, { cause: options.cause });
    this.name = 'HoneError';
    this.kind = kind;
    this.hint = options.hint;
    this.where = options.where;
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }
}

/** Text of an unknown thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
