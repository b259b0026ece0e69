import type { ModelConfig } from '../../../model/index.js';
import { addGradients } from '../graph/autodiff.js';
import { Graph } from '../graph/graph.js';
import { splitGraph, type Split } from '../graph/split.js';
import type { Value } from '../graph/values.js';
import { ropeTables } from './rope.js';
import { EMBEDDING, FINAL_NORM, layerNames, LM_HEAD, WeightInputs, type GraphModel } from './weights.js';

/** A batch of B sequences padded to T tokens. */
export interface BodyShape {
  T: number;
  B: number;
}

/** Names of the graphs' inputs and outputs besides the weights and what the forward graph carries over. */
export const IO = {
  ids: 'ids',
  hidden: 'hidden',
  dHidden: 'd_hidden',
  /** Gradient of the embedded tokens, one row each. */
  dEmbedded: 'd_embedded',
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
  readonly config: ModelConfig;
  readonly weight: (name: string) => Value;
  readonly #linear: (x: Value, module: string) => Value;
  readonly #N: number;
  readonly #rope: { positions: Value; cos: Value; sin: Value };
  readonly #mask: Value;

  constructor(
    model: GraphModel,
    readonly key: BodyShape,
  ) {
    const { config } = model;
    this.config = config;
    const { T, B } = key;
    this.#N = T * B;
    const inputs = new WeightInputs(this.g, model);
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

  /** Embedded tokens, and what the LM head reads, both [N, H]. */
  hidden(): { embedded: Value; hidden: Value } {
    const g = this.g;
    const embedded = g.node('Gather', [this.weight(EMBEDDING), g.input(IO.ids, 'int64', [this.#N])]);
    let x = embedded;
    for (let i = 0; i < this.config.layers; i++) {
      const layer = layerNames(i);
      const rotates = !this.config.nopeLayers.includes(i);
      x = g.add(x, this.#attention(this.#norm(x, this.weight(layer.inputNorm)), layer, rotates));
      x = g.add(x, this.#mlp(this.#norm(x, this.weight(layer.mlpNorm)), layer));
    }
    return { embedded, hidden: this.#norm(x, this.weight(FINAL_NORM)) };
  }
}

/**
 * Builds the forward graph up to the LM head.
 * Inputs: every weight but the head's; `ids` int64 [T*B], time-major. Output: `hidden` [T*B, H], normalised.
 */
export function bodyGraph(decoder: GraphModel, shape: BodyShape): Graph {
  const model = new LlamaTraining(decoder, shape);
  model.g.output(IO.hidden, model.hidden().hidden);
  return withoutIdleInputs(model.g);
}

/**
 * Builds the forward graph of `bodyGraph` with what the backward one needs as further outputs, and the backward graph.
 * Backward inputs: the weights, what is carried over, `d_hidden` [T*B, H], and `acc.<weight>` for every trained weight;
 * outputs: `d_embedded` [T*B, H] if the embedding is trained, and `grad.<weight>` for the other trained weights.
 */
export function bodyGraphs(decoder: GraphModel, shape: BodyShape, trained: ReadonlySet<string>): Split {
  const model = new LlamaTraining(decoder, shape);
  const g = model.g;
  const { embedded, hidden } = model.hidden();
  const forwardNodes = g.nodes.length;
  g.output(IO.hidden, hidden);

  const names = [...decoder.shapes.keys()].filter(
    (name) => trained.has(name) && name !== EMBEDDING && name !== LM_HEAD,
  );
  const sources = names.map((name) => model.weight(name));
  const wanted = trained.has(EMBEDDING) ? [embedded, ...sources] : sources;
  const gradients = addGradients(g, [[hidden, g.input(IO.dHidden, 'float32', hidden.shape)]], wanted);
  const gradient = (value: Value): Value => {
    const found = gradients.get(value.name);
    if (!found) throw new Error(`no gradient reaches ${value.name}`);
    return found;
  };
  if (trained.has(EMBEDDING)) g.output(IO.dEmbedded, gradient(embedded));
  for (const weight of sources) {
    const accumulator = g.input(IO.accumulator(weight.name), 'float32', weight.shape);
    g.output(IO.gradient(weight.name), g.addInto(accumulator, gradient(weight)));
  }
  return splitGraph(g, forwardNodes);
}

/** Inputs that nothing reads need not be fed. */
function withoutIdleInputs(g: Graph): Graph {
  return splitGraph(g, g.nodes.length).first;
}
