import { llamaTensorShapes, type ModelConfig } from '../../../model/index.js';
import { addGradients } from '../graph/autodiff.js';
import { Graph } from '../graph/graph.js';
import type { Value } from '../graph/values.js';
import { ropeTables } from './rope.js';
import { EMBEDDING, FINAL_NORM, headName, layerNames, WeightInputs } from './weights.js';

/** Which graph: a batch of B sequences padded to T tokens, and what it computes. */
export interface TrainingGraphKey {
  T: number;
  B: number;
  /** Full-vocabulary entropy as an output, and its coefficient as an input of the backward pass. */
  entropy: boolean;
  backward: boolean;
}

/** Names of the graph's inputs and outputs besides the weights. */
export const IO = {
  ids: 'ids',
  targets: 'targets',
  inverseTemperature: 'inverse_temperature',
  logprobs: 'logprobs',
  entropy: 'entropy',
  logits: 'logits',
  dLogprobs: 'd_logprobs',
  dEntropy: 'd_entropy',
  /** Input: the gradient so far. Output: with this batch's added. */
  accumulator: (name: string) => `acc.${name}`,
  gradient: (name: string) => `grad.${name}`,
} as const;

/**
 * The decoder for training, time-major: tokens [T, B], rows flattened as n = t * B + b, so that attention reads its
 * operands by leading-dimension transposition (FusedMatMul) instead of copying them.
 */
class LlamaTraining {
  readonly g = new Graph();
  readonly weight: (name: string) => Value;
  readonly #linear: (x: Value, module: string) => Value;
  readonly #N: number;
  readonly #rope: { positions: Value; cos: Value; sin: Value };
  readonly #mask: Value;

  constructor(
    readonly config: ModelConfig,
    readonly key: TrainingGraphKey,
  ) {
    const { T, B } = key;
    this.#N = T * B;
    const inputs = new WeightInputs(this.g, llamaTensorShapes(config));
    this.weight = inputs.weight;
    this.#linear = inputs.linear;
    // RotaryEmbedding takes the first axis as its batch; its check wants as many table rows as the second axis has.
    const rows = Math.max(T, B);
    const { cos, sin } = ropeTables(config, rows);
    this.#rope = {
      positions: this.g.constant(
        BigInt64Array.from({ length: T * B }, (_, n) => BigInt(Math.floor(n / B))),
        [T, B],
      ),
      cos: this.g.constant(cos, [rows, config.headDim / 2]),
      sin: this.g.constant(sin, [rows, config.headDim / 2]),
    };
    const group = config.heads / config.kvHeads;
    this.#mask = this.g.constant(
      Float32Array.from({ length: T * group * T }, (_, i) => (i % T > Math.floor(i / (T * group)) ? -Infinity : 0)),
      [T * group, T],
    );
  }

  /** x / rms(x) * gain, rows [N, size]. */
  #norm(x: Value, gain: Value): Value {
    const g = this.g;
    const meanSquare = g.scale(g.node('ReduceSumSquare', [x], { over: [1] }), 1 / (x.shape[1] as number));
    const rms = g.node('Sqrt', [g.add(meanSquare, g.scalar(this.config.rmsEps))]);
    return g.mul(g.mul(x, g.node('Reciprocal', [rms])), gain);
  }

  /** Queries or keys as attention takes them, [T, B, heads * headDim]: normalised and rotated where the model does so. */
  #rotated(x: Value, module: string, gain: string, heads: number, rotates: boolean): Value {
    const g = this.g;
    const { headDim, qkNorm } = this.config;
    const projected = this.#linear(x, module);
    const normed = qkNorm ? this.#norm(g.reshape(projected, [this.#N * heads, headDim]), this.weight(gain)) : projected;
    const rows = g.reshape(normed, [this.key.T, this.key.B, heads * headDim]);
    const { positions, cos, sin } = this.#rope;
    return rotates ? g.node('RotaryEmbedding', [rows, positions, cos, sin]) : rows;
  }

  /** Causal attention, [N, H] -> [N, H]. Grouped queries are rows (t, group) of their key head: K and V are not repeated. */
  #attention(x: Value, layer: ReturnType<typeof layerNames>, rotates: boolean): Value {
    const g = this.g;
    const { heads, kvHeads, headDim } = this.config;
    const { T, B } = this.key;
    const group = heads / kvHeads;
    const q = this.#rotated(x, layer.q, layer.qNorm, heads, rotates);
    const k = g.reshape(this.#rotated(x, layer.k, layer.kNorm, kvHeads, rotates), [T, B, kvHeads, headDim]);
    const v = g.reshape(this.#linear(x, layer.v), [T, B, kvHeads, headDim]);
    const grouped = group === 1 ? q : g.transpose(g.reshape(q, [T, B, kvHeads, group, headDim]), [0, 3, 1, 2, 4]);
    const rows = g.reshape(grouped, [T * group, B, kvHeads, headDim]);
    const scores = g.node('FusedMatMul', [rows, k], {
      transBatchA: 1,
      transBatchB: 1,
      transB: 1,
      alpha: { float: 1 / Math.sqrt(headDim) },
    });
    const weights = g.node('Softmax', [g.add(scores, this.#mask)]);
    const context = g.node('FusedMatMul', [weights, v], { transBatchB: 1, alpha: { float: 1 } });
    const perToken = g.transpose(g.reshape(context, [B, kvHeads, T, group, headDim]), [2, 0, 1, 3, 4]);
    return this.#linear(g.reshape(perToken, [this.#N, heads * headDim]), layer.o);
  }

  /** SwiGLU, [N, H] -> [N, H]. */
  #mlp(x: Value, layer: ReturnType<typeof layerNames>): Value {
    const g = this.g;
    const gate = this.#linear(x, layer.gate);
    const silu = g.mul(gate, g.node('Sigmoid', [gate]));
    return this.#linear(g.mul(silu, this.#linear(x, layer.up)), layer.down);
  }

  /** Logits [N, V], divided by the temperature. */
  logits(): Value {
    const g = this.g;
    const ids = g.input(IO.ids, 'int64', [this.#N]);
    let x = g.node('Gather', [this.weight(EMBEDDING), ids]);
    for (let i = 0; i < this.config.layers; i++) {
      const layer = layerNames(i);
      const rotates = !this.config.nopeLayers.includes(i);
      x = g.add(x, this.#attention(this.#norm(x, this.weight(layer.inputNorm)), layer, rotates));
      x = g.add(x, this.#mlp(this.#norm(x, this.weight(layer.mlpNorm)), layer));
    }
    const logits = g.linear(this.#norm(x, this.weight(FINAL_NORM)), this.weight(headName(this.config)));
    return g.mul(logits, g.input(IO.inverseTemperature, 'float32', []));
  }
}

/**
 * Builds the forward graph, or the fused forward and backward graph.
 *
 * Inputs: every weight; `ids` int64 [T*B], time-major; `targets` int64 [T*B, 1]; `inverse_temperature` scalar; for
 * backward `d_logprobs` and (with entropy) `d_entropy`, [T*B, 1], and `acc.<weight>` for every weight.
 * Outputs: `logprobs` and (with entropy) `entropy`, [T*B, 1], in nats; for backward `grad.<weight>`.
 */
export function trainingGraph(config: ModelConfig, key: TrainingGraphKey): Graph {
  const model = new LlamaTraining(config, key);
  const g = model.g;
  const N = key.T * key.B;
  const logprobs_NV = g.node('LogSoftmax', [model.logits()]);
  const logprob = g.node('GatherElements', [logprobs_NV, g.input(IO.targets, 'int64', [N, 1])]);
  g.output(IO.logprobs, logprob);
  const entropy = key.entropy ? g.neg(g.sum(g.mul(g.node('Exp', [logprobs_NV]), logprobs_NV), [1])) : undefined;
  if (entropy) g.output(IO.entropy, entropy);
  if (!key.backward) return g;

  const seeds: [Value, Value][] = [[logprob, g.input(IO.dLogprobs, 'float32', [N, 1])]];
  if (entropy) seeds.push([entropy, g.input(IO.dEntropy, 'float32', [N, 1])]);
  const names = [...llamaTensorShapes(config)];
  const gradients = addGradients(
    g,
    seeds,
    names.map(([name]) => model.weight(name)),
  );
  for (const [name, shape] of names) {
    const gradient = gradients.get(name);
    if (!gradient) throw new Error(`no gradient reaches ${name}`);
    g.output(IO.gradient(name), g.addInto(g.input(IO.accumulator(name), 'float32', shape), gradient));
  }
  return g;
}

/** Builds the forward graph whose output `logits`, [T*B, V], is everything the model says: for comparing models. */
export function logitsGraph(config: ModelConfig, { T, B }: Pick<TrainingGraphKey, 'T' | 'B'>): Graph {
  const model = new LlamaTraining(config, { T, B, entropy: false, backward: false });
  model.g.output(IO.logits, model.logits());
  return model.g;
}
