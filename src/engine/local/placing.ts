import type { KvCache } from './kv-cache.js';
import type { Prefix } from './prefixes.js';
import type { Reader } from './reader.js';
import type { Row } from './rows.js';

/** Puts rows that have just been started into the slots behind the running ones. */
export class Placing {
  /** Rows by slot, counted from `first`; a text whose samples all ended at once leaves a hole. */
  readonly #slots: (Row | undefined)[];
  readonly #copies: { row: Row; source: number | Prefix }[] = [];

  /** @param texts slots from `first` on that texts were read into */
  constructor(
    private readonly cache: KvCache,
    private readonly reader: Reader,
    private readonly first: number,
    texts: number,
  ) {
    this.#slots = new Array<Row | undefined>(texts).fill(undefined);
  }

  /** The row stays where its text was read; others of the same text are copied from there. */
  fromText(row: Row, text: number): void {
    if (this.#slots[text]) this.#copies.push({ row, source: this.first + text });
    else this.#slots[text] = row;
  }

  /** The row's text is in a slot of the cache, or kept outside. */
  from(row: Row, source: number | Prefix): void {
    this.#copies.push({ row, source });
  }

  /** Makes all copies, closes the holes, and returns the rows in the order of their slots. */
  async settle(): Promise<Row[]> {
    for (const { row, source } of this.#copies) {
      const slot = this.first + this.#slots.push(row) - 1;
      if (typeof source === 'number') this.cache.copySlot(source, slot, row.cached);
      else await this.reader.load(this.cache, slot, source);
    }
    const rows: Row[] = [];
    for (let slot = 0; slot < this.#slots.length; slot++) {
      while (this.#slots.length > slot && !this.#slots.at(-1)) this.#slots.pop();
      if (slot >= this.#slots.length) break;
      if (!this.#slots[slot]) {
        const moved = this.#slots.pop() as Row;
        this.cache.copySlot(this.first + this.#slots.length, this.first + slot, moved.cached);
        this.#slots[slot] = moved;
      }
      rows.push(this.#slots[slot] as Row);
    }
    return rows;
  }
}
