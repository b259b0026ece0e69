import type { ChatDelta } from '../../engine/chat/index.js';

/**
 * Passes pieces on, over attempts that broke off: what the reader already has is left out of the next attempt, as long
 * as that one begins the same. A reader cannot be told to forget.
 */
export class Resumed {
  readonly #send: (delta: ChatDelta) => void;
  readonly #sent = new Map<string, string>();
  readonly #expected = new Map<string, string>();
  /** A further attempt said something else than the reader has. */
  diverged = false;

  constructor(send: (delta: ChatDelta) => void) {
    this.#send = send;
  }

  /** The pieces so far are void: they come again. */
  restart(): void {
    for (const [place, text] of this.#sent) this.#expected.set(place, text);
  }

  push({ choice, kind, text }: ChatDelta): void {
    const place = `${choice} ${kind}`;
    const expected = this.#expected.get(place) ?? '';
    const known = Math.min(expected.length, text.length);
    if (text.slice(0, known) !== expected.slice(0, known)) this.diverged = true;
    if (this.diverged) return;
    this.#expected.set(place, expected.slice(known));
    if (known === text.length) return;
    this.#sent.set(place, (this.#sent.get(place) ?? '') + text.slice(known));
    this.#send({ choice, kind, text: text.slice(known) });
  }
}
