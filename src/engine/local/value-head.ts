import type { ModelConfig } from '../../model/index.js';
import { VALUE_BIAS, VALUE_HEAD } from '../../model/index.js';
import type { HeadBackward, HeadRow } from './head.js';
import { FINAL_NORM } from './llama/weights.js';
import type { Parameters } from './parameters.js';
import type { Sequence, TokenOutputs } from './training.js';

/** What one row's value is made of. */
interface ReadRow {
  /** 1 / rms(x). */
  r: number;
  /** sum_j x_j g_j w_j. */
  along: number;
}

/**
 * The head of a critic: the final norm, and one number for each token. With gain g, head w, bias b and
 * r = 1 / sqrt(mean(x^2) + eps):
 *
 *   v = r sum_j x_j g_j w_j + b
 *   dx = dv (r g w - x r^3 (sum_j x_j g_j w_j) / H),   dw = dv r x g,   dg = dv r x w,   db = dv
 *
 * A few products of length H a token, against hundreds in each layer: plain loops, whose sums are the same with any
 * number of threads. Nothing here is of vocabulary size.
 */
export class ValueHead {
  constructor(private readonly parameters: Parameters) {}

  get #config(): ModelConfig {
    return this.parameters.config;
  }

  #array(name: string): Float32Array {
    return this.parameters.arrays.get(name) as Float32Array;
  }

  /**
   * Values of the rows, written to their places in `outputs`; with `backward` also their derivatives.
   * @param hidden [N, H], before the final norm
   */
  run(
    rows: readonly HeadRow[],
    hidden: Float32Array,
    _sequences: readonly Sequence[],
    _temperature: number,
    outputs: TokenOutputs,
    backward?: HeadBackward,
  ): Promise<void> {
    const { hiddenSize: H } = this.#config;
    const bias = this.#array(VALUE_BIAS)[0] as number;
    for (const { n, member, t } of rows) {
      const x = hidden.subarray(n * H, (n + 1) * H);
      const row = this.#read(x);
      (outputs.values?.[member] as Float32Array)[t] = row.r * row.along + bias;
      if (!backward) continue;
      const dv = backward.coefficients.dValues?.[member]?.[t] ?? 0;
      this.#backward(x, row, dv, backward.dHidden.subarray(n * H, (n + 1) * H), backward.gradients);
    }
    return Promise.resolve();
  }

  #read(x: Float32Array): ReadRow {
    const [gain, weight] = [this.#array(FINAL_NORM), this.#array(VALUE_HEAD)];
    let [squares, along] = [0, 0];
    for (let j = 0; j < x.length; j++) {
      const xj = x[j] as number;
      squares += xj * xj;
      along += xj * (gain[j] as number) * (weight[j] as number);
    }
    return { r: 1 / Math.sqrt(squares / x.length + this.#config.rmsEps), along };
  }

  #backward(
    x: Float32Array,
    { r, along }: ReadRow,
    dv: number,
    dx: Float32Array,
    gradients: HeadBackward['gradients'],
  ): void {
    const [gain, weight] = [this.#array(FINAL_NORM), this.#array(VALUE_HEAD)];
    const [dGain, dWeight, dBias] = [FINAL_NORM, VALUE_HEAD, VALUE_BIAS].map(
      (name) => gradients[name]?.data as Float32Array,
    ) as [Float32Array, Float32Array, Float32Array];
    const k = (r * r * r * along) / x.length;
    for (let j = 0; j < x.length; j++) {
      const [xj, gj, wj] = [x[j] as number, gain[j] as number, weight[j] as number];
      dx[j] = dv * (r * gj * wj - xj * k);
      dWeight[j] = (dWeight[j] as number) + dv * r * xj * gj;
      dGain[j] = (dGain[j] as number) + dv * r * xj * wj;
    }
    dBias[0] = (dBias[0] as number) + dv;
  }
}
