/**
 * Counter-based random numbers: every draw is a pure function of (run seed, stream name, indices), so no generator
 * state has to be saved, and the order in which draws are made cannot matter.
 * Generator: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of the product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const mid1 = aHigh * bLow + (low >>> 16);
  const mid2 = aLow * bHigh + (mid1 & 0xffff);
  return (aHigh * bHigh + Math.floor(mid1 / 0x10000) + Math.floor(mid2 / 0x10000)) >>> 0;
}

/** One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const hi0 = mulHigh(M0, c0);
    const lo0 = Math.imul(M0, c0) >>> 0;
    const hi1 = mulHigh(M1, c2);
    const lo1 = Math.imul(M1, c2) >>> 0;
    [c0, c1, c2, c3] = [(hi1 ^ c1 ^ k0) >>> 0, lo1, (hi0 ^ c3 ^ k1) >>> 0, lo0];
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** FNV-1a over UTF-16 code units, mixed once more so that similar names land far apart. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * A stream of draws. `uniform(i)` and its kin are random access; `next*` walk through the stream from its start.
 * Streams are cheap: derive one for each (purpose, iteration, index) instead of sharing one.
 */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #high: readonly [number, number];
  #position = 0;

  /** @param seed run seed, an integer of up to 53 bits. @param path names and indices that identify the stream. */
  constructor(seed: number, ...path: (string | number)[]) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`seed must be a whole number from 0 to 2^53-1, not ${seed}`);
    this.#key = [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0];
    // The path is folded into the upper counter words by the generator itself: distinct paths, distinct blocks.
    let high: [number, number] = [0, 0];
    for (const part of path) {
      const word = typeof part === 'number' ? part >>> 0 : hashName(part);
      const block = philox4x32([high[0], high[1], word, typeof part === 'number' ? 1 : 2], this.#key);
      high = [block[0], block[1]];
    }
    this.#high = high;
  }

  /** A 53-bit seed for a child generator, e.g. of one sampling request. */
  seed(index: number): number {
    const block = this.#block(index);
    return (block[0] & 0x1fffff) * 0x100000000 + block[1];
  }

  #block(index: number): [number, number, number, number] {
    return philox4x32([index >>> 0, Math.floor(index / 0x100000000) >>> 0, this.#high[0], this.#high[1]], this.#key);
  }

  /** Draw number `index`, uniform in [0, 1) with 53 bits. */
  uniform(index: number): number {
    const block = this.#block(index);
    return ((block[0] >>> 5) * 0x4000000 + (block[1] >>> 6)) / 0x20000000000000;
  }

  /** The next uniform draw in [0, 1). */
  next(): number {
    return this.uniform(this.#position++);
  }

  /** The next whole number in [low, high], both included. */
  nextInt(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** The next standard normal draw (Box-Muller). */
  nextNormal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** One element. @throws RangeError on an empty list. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('cannot pick from an empty list');
    return items[this.nextInt(0, items.length - 1)] as T;
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const result = items.slice();
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.nextInt(0, i);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }
}
