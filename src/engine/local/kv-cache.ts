import { MessageChannel } from 'node:worker_threads';
import type { ModelConfig } from '../../model/index.js';
import { SAMPLING_IO } from './llama/sampling-graph.js';
import { loadOrt, tensorOf, type Tensor } from './session.js';

/** Bound for a sampler's keys and values where the caller sets none. */
export const DEFAULT_CACHE_BYTES = 2 ** 30;

/** Memory of the keys and values of one position in all layers, in bytes. */
export function positionBytes({ layers, kvHeads, headDim }: ModelConfig): number {
  return layers * 2 * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT;
}

/** Keys and values of positions [from, to) of one sequence, outside any slot: [layers * 2, kvHeads, to - from, headDim]. */
export interface KvRows {
  readonly from: number;
  readonly to: number;
  readonly data: Float32Array;
}

/**
 * Keys and values of the running sequences, one array each per layer, [slots, kvHeads, length, headDim]. Slot-major,
 * so that a graph over neighbouring slots works on a view of the same memory. The memory is fixed, a number of
 * positions; how they are cut into slots (`length`) may change while sequences run.
 */
export class KvCache {
  /** Keys of layer i at 2 i, values at 2 i + 1. */
  readonly #arrays: Float32Array[];
  readonly #views = new Map<string, Tensor[]>();
  #length = 0;

  /** Memory is taken when it is written to, since the system hands out large zeroed blocks untouched. */
  constructor(
    private readonly config: ModelConfig,
    readonly positions: number,
  ) {
    const size = positions * config.kvHeads * config.headDim;
    this.#arrays = Array.from({ length: config.layers * 2 }, () => new Float32Array(size));
  }

  /** Positions of one slot; 0 until the first `resize`. */
  get length(): number {
    return this.#length;
  }

  /** Slots that there is memory for. */
  get rows(): number {
    return Math.floor(this.positions / this.#length);
  }

  get bytes(): number {
    return this.positions * positionBytes(this.config);
  }

  /** Cuts the memory into slots of `length` positions, and moves what the first `slots` hold to its new place. */
  resize(length: number, slots: number): void {
    if (length === this.#length) return;
    const { kvHeads, headDim } = this.config;
    const [before, after] = [this.#length * headDim, length * headDim];
    const size = Math.min(before, after);
    const count = slots * kvHeads;
    for (const data of this.#arrays) {
      // Growing moves everything towards the end, so the last comes first; shrinking the other way round.
      for (let i = 0; i < count; i++) {
        const block = after > before ? count - 1 - i : i;
        data.copyWithin(block * after, block * before, block * before + size);
      }
    }
    this.#length = length;
    this.#views.clear();
  }

  async #tensors(first: number, B: number): Promise<Tensor[]> {
    const key = `${first}+${B}`;
    const known = this.#views.get(key);
    if (known) return known;
    const ort = await loadOrt();
    const { kvHeads, headDim } = this.config;
    const slot = kvHeads * this.#length * headDim;
    const shape = [B, kvHeads, this.#length, headDim];
    const tensors = this.#arrays.map((data) =>
      tensorOf(ort, 'float32', shape, data.subarray(first * slot, (first + B) * slot)),
    );
    this.#views.set(key, tensors);
    return tensors;
  }

  /** Tensors over slots [first, first + B), under the graph's input and output names: feed and fetch both. */
  async view(first: number, B: number): Promise<{ feeds: Record<string, Tensor>; fetches: Record<string, Tensor> }> {
    const tensors = await this.#tensors(first, B);
    const feeds: Record<string, Tensor> = {};
    const fetches: Record<string, Tensor> = {};
    for (let i = 0; i < this.config.layers; i++) {
      const [key, value] = tensors.slice(2 * i, 2 * i + 2) as [Tensor, Tensor];
      feeds[SAMPLING_IO.pastKey(i)] = fetches[SAMPLING_IO.presentKey(i)] = key;
      feeds[SAMPLING_IO.pastValue(i)] = fetches[SAMPLING_IO.presentValue(i)] = value;
    }
    return { feeds, fetches };
  }

  /** Where a head of a slot begins in the arrays. */
  #start(slot: number, head: number): number {
    return (slot * this.config.kvHeads + head) * this.#length * this.config.headDim;
  }

  /** Copies the first `positions` of a slot to another. */
  copySlot(source: number, target: number, positions: number): void {
    if (source === target) return;
    const { kvHeads, headDim } = this.config;
    for (const data of this.#arrays) {
      for (let head = 0; head < kvHeads; head++) {
        const start = this.#start(source, head);
        data.copyWithin(this.#start(target, head), start, start + positions * headDim);
      }
    }
  }

  /** A copy of positions [from, to) of a slot. */
  read(slot: number, from: number, to: number): KvRows {
    const { kvHeads, headDim } = this.config;
    const size = (to - from) * headDim;
    const data = new Float32Array(this.#arrays.length * kvHeads * size);
    this.#arrays.forEach((array, i) => {
      for (let head = 0; head < kvHeads; head++) {
        const start = this.#start(slot, head) + from * headDim;
        data.set(array.subarray(start, start + size), (i * kvHeads + head) * size);
      }
    });
    return { from, to, data };
  }

  /** Puts rows back at their positions. */
  write(slot: number, { from, to, data }: KvRows): void {
    const { kvHeads, headDim } = this.config;
    const size = (to - from) * headDim;
    this.#arrays.forEach((array, i) => {
      for (let head = 0; head < kvHeads; head++) {
        const start = (i * kvHeads + head) * size;
        array.set(data.subarray(start, start + size), this.#start(slot, head) + from * headDim);
      }
    });
  }

  /** Gives the memory back at once; the cache is of no use afterwards. */
  free(): void {
    this.#views.clear();
    discard(this.#arrays.map((array) => array.buffer as ArrayBuffer));
    this.#arrays.length = 0;
  }
}

/**
 * Frees memory without waiting for the garbage collector, which does not hurry when native code is what needs it: the
 * buffers go into a message that nobody will receive.
 */
export function discard(buffers: readonly ArrayBuffer[]): void {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, buffers.slice());
  port1.close();
  port2.close();
}
