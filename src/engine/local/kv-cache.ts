import type { ModelConfig } from '../../model/index.js';
import { SAMPLING_IO } from './llama/sampling-graph.js';
import { loadOrt, tensorOf, type Tensor } from './session.js';

/**
 * Keys and values of `slots` sequences, one array each per layer, [slots, kvHeads, length, headDim]. Slot-major, so a
 * graph over the first B slots works on a view of the same memory.
 */
export class KvCache {
  readonly #keys: Float32Array[];
  readonly #values: Float32Array[];
  readonly #views = new Map<number, Record<string, Tensor>>();

  constructor(
    private readonly config: ModelConfig,
    readonly slots: number,
    readonly length: number,
  ) {
    const size = slots * config.kvHeads * length * config.headDim;
    const make = (): Float32Array[] => Array.from({ length: config.layers }, () => new Float32Array(size));
    this.#keys = make();
    this.#values = make();
  }

  /** Tensors over the first B slots, under the graph's input and output names: feed and fetch both. */
  async view(B: number): Promise<{ feeds: Record<string, Tensor>; fetches: Record<string, Tensor> }> {
    let tensors = this.#views.get(B);
    if (!tensors) {
      tensors = {};
      const ort = await loadOrt();
      const { kvHeads, headDim, layers } = this.config;
      const shape = [B, kvHeads, this.length, headDim];
      const size = B * kvHeads * this.length * headDim;
      for (let i = 0; i < layers; i++) {
        tensors[`key.${i}`] = tensorOf(ort, 'float32', shape, this.#keys[i]?.subarray(0, size));
        tensors[`value.${i}`] = tensorOf(ort, 'float32', shape, this.#values[i]?.subarray(0, size));
      }
      this.#views.set(B, tensors);
    }
    const feeds: Record<string, Tensor> = {};
    const fetches: Record<string, Tensor> = {};
    for (let i = 0; i < this.config.layers; i++) {
      const [key, value] = [tensors[`key.${i}`] as Tensor, tensors[`value.${i}`] as Tensor];
      feeds[SAMPLING_IO.pastKey(i)] = fetches[SAMPLING_IO.presentKey(i)] = key;
      feeds[SAMPLING_IO.pastValue(i)] = fetches[SAMPLING_IO.presentValue(i)] = value;
    }
    return { feeds, fetches };
  }

  /** Copies the first `positions` of a slot from another cache (or this one). */
  copySlot(from: KvCache, source: number, target: number, positions: number): void {
    const { kvHeads, headDim } = this.config;
    for (const [mine, theirs] of [
      [this.#keys, from.#keys],
      [this.#values, from.#values],
    ] as const) {
      mine.forEach((data, layer) => {
        const other = theirs[layer] as Float32Array;
        for (let head = 0; head < kvHeads; head++) {
          const start = (source * kvHeads + head) * from.length * headDim;
          data.set(
            other.subarray(start, start + positions * headDim),
            (target * kvHeads + head) * this.length * headDim,
          );
        }
      });
    }
  }
}
