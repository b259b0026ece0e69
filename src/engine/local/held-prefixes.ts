import { addRow } from './add-rows.js';
import type { BatchShape } from './llama/layer-graph.js';

/** A tensor's numbers, [T, B, width] time-major. */
interface Rows {
  keys: Float32Array;
  values: Float32Array;
}

/**
 * Keys and values that a run of prefixes has left, layer by layer, for the sequences that go on from them; and the
 * gradients of these as they come back. Column b is the b-th prefix of a run of B.
 */
export class HeldPrefixes {
  /** Whether a gradient has come back. */
  touched = false;

  constructor(
    /** Tokens of each prefix. */
    readonly lengths: readonly number[],
    private readonly B: number,
    private readonly width: number,
    private readonly layers: readonly Rows[],
    /** Zeros at first; without them nothing can be added. */
    readonly gradients: readonly Rows[] = [],
  ) {}

  /** @param columns of each row of a micro-batch its prefix. @returns how many keys rows get, and whether some have fewer */
  pastOf(columns: readonly number[]): { longest: number; equal: boolean } {
    const lengths = columns.map((column) => this.#length(column));
    const longest = Math.max(...lengths);
    return { longest, equal: lengths.every((length) => length === longest) };
  }

  #length(column: number): number {
    return this.lengths[column] as number;
  }

  /**
   * Where the numbers of every token of every row's prefix are, here and in tensors [past, rows, width]: token by token,
   * which is how they lie in memory.
   */
  #forTokens(columns: readonly number[], each: (here: number, there: number) => void): void {
    const { B, width } = this;
    const rows = columns.length;
    const { longest } = this.pastOf(columns);
    for (let t = 0; t < longest; t++)
      for (let row = 0; row < rows; row++) {
        const column = columns[row] as number;
        if (t < this.#length(column)) each((t * B + column) * width, (t * rows + row) * width);
      }
  }

  /** Writes a layer's keys and values to tensors [past, rows, width]; zeros where a row has none. */
  copyTo(into: Rows, layer: number, columns: readonly number[]): void {
    const { keys, values } = this.layers[layer] as Rows;
    for (const tensor of [into.keys, into.values]) tensor.fill(0);
    this.#forTokens(columns, (here, there) => {
      into.keys.set(keys.subarray(here, here + this.width), there);
      into.values.set(values.subarray(here, here + this.width), there);
    });
  }

  /** Adds gradients of what `copyTo` has written. */
  add(gradients: Rows, layer: number, columns: readonly number[]): void {
    const sums = this.gradients[layer] as Rows;
    this.#forTokens(columns, (here, there) => {
      addRow(sums.keys, here, gradients.keys, there, this.width);
      addRow(sums.values, here, gradients.values, there, this.width);
    });
    this.touched = true;
  }

  /** Numbers of the keys of every row, [past + T, rows]: those that a row lacks have infinity (attention.ts). */
  keyNumbers(columns: readonly number[], { T, past }: BatchShape): Float32Array {
    const rows = columns.length;
    return Float32Array.from({ length: (past + T) * rows }, (_, i) => {
      const key = Math.floor(i / rows);
      return key < past && key >= this.#length(columns[i % rows] as number) ? Infinity : key;
    });
  }
}
