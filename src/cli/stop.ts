import { HoneError } from '../core/index.js';

/** After SIGTERM a clean point has to come within so many seconds, unless HONE_STOP_SECONDS says otherwise. */
const STOP_SECONDS = 120;

const KEPT = 'Finished checkpoints are kept: hone resume goes on from the newest.';

/** Seconds from SIGTERM to the end at the latest. @throws HoneError('usage') where HONE_STOP_SECONDS is no number. */
export function stopSeconds(text = process.env['HONE_STOP_SECONDS']): number {
  if (text === undefined || text === '') return STOP_SECONDS;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0 && seconds < 1e6) return seconds;
  throw new HoneError('usage', `must be a number of seconds above 0, not ${text}`, {
    where: 'HONE_STOP_SECONDS',
    hint: `Set it to the seconds that a stop may take, or leave it out for ${STOP_SECONDS}.`,
  });
}

export interface StopActions {
  /** Told what happens now. */
  note(line: string): void;
  /** Ends the process at once. Locks are released by the exit itself. */
  end(why: HoneError): void;
}

/**
 * What signals do: the first asks the work to stop at a clean point, the second ends the process. Whoever sends
 * SIGTERM is often a program that sends it once, so after it the process ends by itself when no clean point comes.
 */
export class Stopper {
  readonly #controller = new AbortController();
  readonly #actions: StopActions;
  readonly #seconds: number;
  #deadline: NodeJS.Timeout | undefined;

  constructor(seconds: number, actions: StopActions) {
    this.#seconds = seconds;
    this.#actions = actions;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Handles SIGINT and SIGTERM from here on. */
  listen(): void {
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  close(): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    clearTimeout(this.#deadline);
  }

  #onSignal = (name: NodeJS.Signals): void => {
    const { note, end } = this.#actions;
    if (this.signal.aborted) return end(new HoneError('interrupted', 'stopped at once', { hint: KEPT }));
    const limit = name === 'SIGTERM' ? `in ${this.#seconds} s at the latest` : 'Ctrl-C again stops at once';
    note(`stopping at the next clean point; ${limit}`);
    if (name === 'SIGTERM') {
      const late = new HoneError('interrupted', `stopped: no clean point came within ${this.#seconds} s`, {
        hint: `${KEPT} HONE_STOP_SECONDS sets the time.`,
      });
      this.#deadline = setTimeout(() => end(late), 1000 * this.#seconds);
    }
    this.#controller.abort(new HoneError('interrupted', 'stopped on request'));
  };
}
