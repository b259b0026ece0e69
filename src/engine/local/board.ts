import type { Arrays } from './parameters.js';

/** Arrays by name in memory that all threads see. One side writes and then the other reads; nothing here waits. */
export class Board {
  readonly #views: ReadonlyMap<string, Float32Array>;

  constructor(
    readonly memory: SharedArrayBuffer,
    sizes: readonly (readonly [name: string, length: number])[],
  ) {
    let at = 0;
    this.#views = new Map(
      sizes.map(([name, length]) => {
        const view = new Float32Array(memory, at * Float32Array.BYTES_PER_ELEMENT, length);
        at += length;
        return [name, view] as const;
      }),
    );
  }

  /** An empty board for arrays of these names and sizes. */
  static for(arrays: Arrays): Board {
    const sizes = sizesOf(arrays);
    const count = sizes.reduce((sum, [, length]) => sum + length, 0);
    return new Board(new SharedArrayBuffer(count * Float32Array.BYTES_PER_ELEMENT), sizes);
  }

  write(arrays: Arrays): void {
    for (const [name, view] of this.#views) view.set(arrays.get(name) as Float32Array);
  }

  read(into: Arrays): void {
    for (const [name, view] of this.#views) into.get(name)?.set(view);
  }

  addTo(arrays: Arrays): void {
    for (const [name, view] of this.#views) {
      const sum = arrays.get(name) as Float32Array;
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (view[i] as number);
    }
  }
}

export function sizesOf(arrays: Arrays): [name: string, length: number][] {
  return [...arrays].map(([name, { length }]) => [name, length]);
}
