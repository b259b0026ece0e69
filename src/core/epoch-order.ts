import { RandomStream } from './random.js';

/**
 * The order in which items are visited: a pure function of (seed, name, position), so that a cursor is all a
 * checkpoint has to hold. A finite list is shuffled anew for every pass; an endless one is walked as it comes.
 */
export class EpochOrder {
  readonly #size: number;
  readonly #seed: number;
  readonly #name: string;
  #epoch = -1;
  #permutation: number[] = [];

  /** @throws RangeError when there is nothing to visit. */
  constructor(size: number, seed: number, name: string) {
    if (!(size >= 1)) throw new RangeError('an order needs at least one item');
    this.#size = size;
    this.#seed = seed;
    this.#name = name;
  }

  /** Index of the item at a position, counted over all passes. */
  at(position: number): number {
    if (this.#size === Infinity) return position;
    const epoch = Math.floor(position / this.#size);
    if (epoch !== this.#epoch) {
      const identity = Array.from({ length: this.#size }, (_, i) => i);
      this.#permutation = new RandomStream(this.#seed, this.#name, epoch).shuffle(identity);
      this.#epoch = epoch;
    }
    return this.#permutation[position % this.#size] as number;
  }
}
