import type { CallNode, ThinkEvent } from '../thinking/index.js';
import { plainText } from './text.js';

/** Where the display writes, and how it dims. */
export interface DisplayOut {
  /** As it stands, without a line break. */
  write(text: string): void;
  dim(text: string): string;
}

interface Shown {
  text: string;
  ended?: CallNode;
}

/**
 * Shows the calls of a method while they run. One speaks at a time, as its words arrive; those that run beside it wait
 * until it has ended, and then come whole, or go on from where they are.
 */
export class ThinkDisplay {
  readonly #out: DisplayOut;
  readonly #calls = new Map<string, Shown>();
  #speaking: string | undefined;

  constructor(out: DisplayOut) {
    this.#out = out;
  }

  on(event: ThinkEvent): void {
    const { label } = event;
    if (event.type === 'note') return;
    if (event.type === 'start') this.#calls.set(label, { text: '' });
    const call = this.#calls.get(label);
    if (call === undefined) return;
    if (event.type === 'restart') this.#hear(label, call, '\n[the connection broke; again]\n');
    if (event.type === 'delta') this.#hear(label, call, plainText(event.text));
    if (event.type === 'end') call.ended = event.node;
    this.#next();
  }

  #hear(label: string, call: Shown, text: string): void {
    call.text += text;
    if (this.#speaking === label) this.#out.write(this.#out.dim(text));
  }

  /** Lets whoever has spoken to the end go, and gives the word to the next. */
  #next(): void {
    for (;;) {
      const [label, call] = [...this.#calls][0] ?? [];
      if (label === undefined || call === undefined) return;
      if (this.#speaking === undefined) {
        this.#speaking = label;
        this.#out.write(`${this.#out.dim(`-- ${label}`)}\n${this.#out.dim(call.text)}`);
      }
      if (call.ended === undefined) return;
      this.#out.write(`${this.#out.dim(ending(call.ended, call.text))}\n\n`);
      this.#calls.delete(label);
      this.#speaking = undefined;
    }
  }
}

function ending({ completionTokens, finish, raw }: CallNode, shown: string): string {
  const whole = shown === '' ? plainText(raw) : '';
  const cut = finish === 'length' ? ', cut off' : '';
  return `${whole}${whole === '' && shown === '' ? '' : '\n'}   (${completionTokens} tokens${cut})`;
}
