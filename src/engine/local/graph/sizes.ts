import { tensorOf, type Ort, type Tensor } from '../session.js';
import { ANY, type Shape } from './values.js';

/**
 * Sizes that each run of a graph chooses anew. A graph is built with these numbers in the place of sizes, and all that
 * is made of them by sums and products is recognised as such: they are fractions, and sizes of a model never are.
 */
export const STAND_IN = {
  /** Tokens of each row. */
  T: 64 + 2 ** -10,
  /** Rows. */
  B: 64 + 2 ** -11,
  /** Tokens before the first of each row. */
  past: 64 + 2 ** -12,
  /** Positions that the LM head reads. */
  rows: 64 + 2 ** -13,
} as const;

export const isStandIn = (dim: number): boolean => !Number.isInteger(dim);

/** A shape as ONNX is told: what a run chooses is unknown. */
export const declared = (shape: Shape): Shape => shape.map((dim) => (isStandIn(dim) ? ANY : dim));

/** What the stand-ins of a graph, and all made of them, are in one run. */
export class Sizes {
  readonly #values: ReadonlyMap<number, number>;
  readonly #tensors = new Map<readonly number[], Tensor>();

  constructor(values: Iterable<readonly [standIn: number, value: number]>) {
    const known = new Map<number, number>();
    for (const [standIn, value] of values) {
      if ((known.get(standIn) ?? value) !== value)
        throw new Error(`${standIn} stands for ${known.get(standIn)} and ${value}`);
      known.set(standIn, value);
    }
    this.#values = known;
  }

  #of(dim: number): number {
    if (!isStandIn(dim)) return dim;
    const value = this.#values.get(dim);
    if (value === undefined) throw new Error(`no run gives a size to ${dim}`);
    return value;
  }

  shape(shape: Shape): number[] {
    return shape.map((dim) => this.#of(dim));
  }

  /** The list as a graph's input, int64. */
  tensor(ort: Ort, list: readonly number[]): Tensor {
    const known = this.#tensors.get(list);
    if (known) return known;
    const data = BigInt64Array.from(list, (dim) => BigInt(this.#of(dim)));
    const tensor = tensorOf(ort, 'int64', [list.length], data);
    this.#tensors.set(list, tensor);
    return tensor;
  }
}

/** Of graphs that have no stand-ins. */
export const NO_SIZES = new Sizes([]);
