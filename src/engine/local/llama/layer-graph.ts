import { addGradients } from '../graph/autodiff.js';
import { Graph } from '../graph/graph.js';
import { splitGraph, type Split } from '../graph/split.js';
import type { Value } from '../graph/values.js';
import { attention } from './attention.js';
import { rmsNorm, swiglu } from './parts.js';
import { ropeTables } from './rope.js';
import { layerNames, tensorsOfLayer, WeightInputs, type GraphModel } from './weights.js';

/** A batch of B sequences padded to T tokens. */
export interface BatchShape {
  T: number;
  B: number;
}

/** Names of the graphs' inputs and outputs besides the weights and what the forward graph carries over. */
export const IO = {
  x: 'x',
  y: 'y',
  dx: 'd_x',
  dy: 'd_y',
  /** Input: the gradient so far. Output: with this batch's added. */
  accumulator: (name: string) => `acc.${name}`,
  gradient: (name: string) => `grad.${name}`,
} as const;

/**
 * One layer of the decoder for training, time-major: tokens [T, B], rows flattened as n = t * B + b, so that attention
 * reads its operands by leading-dimension transposition instead of copying them.
 */
class LayerGraph {
  readonly g = new Graph();
  readonly inputs: WeightInputs;
  readonly #names: ReturnType<typeof layerNames>;

  constructor(
    readonly model: GraphModel,
    readonly layer: number,
    readonly shape: BatchShape,
  ) {
    this.inputs = new WeightInputs(this.g, model, tensorsOfLayer(model, layer));
    this.#names = layerNames(layer);
  }

  #norm(x: Value, gain: string): Value {
    return rmsNorm(this.g, x, this.inputs.weight(gain), this.model.config.rmsEps);
  }

  /** Queries or keys as attention takes them, [T, B, heads * headDim]: normalised and rotated where the model does so. */
  #rotated(x: Value, module: string, gain: string, heads: number): Value {
    const g = this.g;
    const { headDim, qkNorm, nopeLayers } = this.model.config;
    const { T, B } = this.shape;
    const projected = this.inputs.linear(x, module);
    const normed = qkNorm ? this.#norm(g.reshape(projected, [T * B * heads, headDim]), gain) : projected;
    const rows = g.reshape(normed, [T, B, heads * headDim]);
    return nopeLayers.includes(this.layer) ? rows : g.node('RotaryEmbedding', [rows, ...this.#rope()]);
  }

  #ropeInputs: Value[] | undefined;

  /** Positions [T, B], and the tables. The op takes the first axis for its batch, and wants as many rows as the second has. */
  #rope(): Value[] {
    const { T, B } = this.shape;
    const rows = Math.max(T, B);
    const half = this.model.config.headDim / 2;
    const make = (): Value[] => {
      const { cos, sin } = ropeTables(this.model.config, rows);
      const positions = BigInt64Array.from({ length: T * B }, (_, n) => BigInt(Math.floor(n / B)));
      return [
        this.g.constant(positions, [T, B]),
        this.g.constant(cos, [rows, half]),
        this.g.constant(sin, [rows, half]),
      ];
    };
    return (this.#ropeInputs ??= make());
  }

  #attention(x: Value): Value {
    const { heads, kvHeads, headDim } = this.model.config;
    const q = this.#rotated(x, this.#names.q, this.#names.qNorm, heads);
    const k = this.#rotated(x, this.#names.k, this.#names.kNorm, kvHeads);
    const v = this.inputs.linear(x, this.#names.v);
    const context = attention(this.g, q, k, v, { ...this.shape, heads, kvHeads, headDim });
    return this.inputs.linear(context, this.#names.o);
  }

  #mlp(x: Value): Value {
    const { linear } = this.inputs;
    return linear(swiglu(this.g, linear(x, this.#names.gate), linear(x, this.#names.up)), this.#names.down);
  }

  /** x [N, H] -> y [N, H]. */
  build(): { x: Value; y: Value } {
    const x = this.g.input(IO.x, 'float32', [this.shape.T * this.shape.B, this.model.config.hiddenSize]);
    const middle = this.g.add(x, this.#attention(this.#norm(x, this.#names.inputNorm)));
    return { x, y: this.g.add(middle, this.#mlp(this.#norm(middle, this.#names.mlpNorm))) };
  }
}

/** Builds the forward graph of a layer. Inputs: the layer's weights; `x` [T*B, H], time-major. Output: `y` [T*B, H]. */
export function layerGraph(model: GraphModel, layer: number, shape: BatchShape): Graph {
  const decoder = new LayerGraph(model, layer, shape);
  decoder.g.output(IO.y, decoder.build().y);
  return decoder.g;
}

/**
 * Builds the forward graph of `layerGraph` with what the backward one needs as further outputs, and the backward graph.
 * Backward inputs: the weights, `x`, what is carried over, `d_y` [T*B, H], and `acc.<weight>` for every trained weight;
 * outputs: `d_x` [T*B, H], and `grad.<weight>` for every trained weight.
 */
export function layerGraphs(
  model: GraphModel,
  layer: number,
  shape: BatchShape,
  trained: (name: string) => boolean,
): Split {
  const decoder = new LayerGraph(model, layer, shape);
  const g = decoder.g;
  const { x, y } = decoder.build();
  const forwardNodes = g.nodes.length;
  g.output(IO.y, y);

  const weights = tensorsOfLayer(model, layer).filter(trained).map(decoder.inputs.weight);
  const gradients = addGradients(g, [[y, g.input(IO.dy, 'float32', y.shape)]], [x, ...weights]);
  const gradient = (value: Value): Value => {
    const found = gradients.get(value.name);
    if (!found) throw new Error(`no gradient reaches ${value.name}`);
    return found;
  };
  g.output(IO.dx, gradient(x));
  for (const weight of weights) {
    const accumulator = g.input(IO.accumulator(weight.name), 'float32', weight.shape);
    g.output(IO.gradient(weight.name), g.addInto(accumulator, gradient(weight)));
  }
  return splitGraph(g, forwardNodes);
}
