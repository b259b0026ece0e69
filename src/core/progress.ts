/**
 * How long work tells what it is doing. Library code reports through this interface and never prints; the command
 * line turns it into a live line on a terminal, plain lines in a log, or nothing with --json.
 */
export interface Progress {
  /** Starts a named phase of `total` units (undefined: unknown). A phase ends when the next starts or `end` is called. */
  phase(name: string, total?: number): void;
  /** Work done so far in this phase, with a few short facts to show beside it. */
  update(done: number, facts?: Record<string, string | number>): void;
  /** A line worth keeping: a warning, a finished evaluation. */
  note(line: string, level?: 'info' | 'warn'): void;
  end(): void;
}

/** Reports nowhere. */
export const silentProgress: Progress = { phase() {}, update() {}, note() {}, end() {} };
