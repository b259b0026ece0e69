import type { SampleParams, StopReason } from '../types.js';

/** What ends a reply besides its length. */
export interface Vocabulary {
  eosIds: readonly number[];
  /** Bytes of one token in running text; needed for stop strings only. */
  tokenBytes?: (id: number) => Uint8Array;
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** Watches one reply for its end. Stop strings are matched on bytes, so they may begin and end inside tokens. */
export class StopWatch {
  readonly #eos: ReadonlySet<number>;
  readonly #stops: readonly string[];
  readonly #keep: number;
  #tail = '';

  constructor(
    stop: SampleParams['stop'],
    private readonly vocabulary: Vocabulary,
  ) {
    this.#eos = new Set(stop?.length === 0 ? [] : vocabulary.eosIds);
    this.#stops = (stop ?? []).map((text) => Buffer.from(text, 'utf8').toString('latin1'));
    this.#keep = Math.max(0, ...this.#stops.map((text) => text.length)) - 1;
  }

  /** Whether the reply ends with this token, and why. */
  push(token: number): Extract<StopReason, 'eos' | 'stop'> | undefined {
    if (this.#eos.has(token)) return 'eos';
    if (this.#stops.length === 0 || !this.vocabulary.tokenBytes) return undefined;
    this.#tail += latin1(this.vocabulary.tokenBytes(token));
    if (this.#stops.some((text) => this.#tail.includes(text))) return 'stop';
    this.#tail = this.#keep > 0 ? this.#tail.slice(-this.#keep) : '';
    return undefined;
  }
}
