import { addGradients } from '../graph/autodiff.js';
import type { ModelConfig } from '../../../model/index.js';
import { Graph } from '../graph/graph.js';
import { Sizes, STAND_IN } from '../graph/sizes.js';
import { splitGraph, type Split } from '../graph/split.js';
import { ANY, type Value } from '../graph/values.js';
import { attention, blocksFor } from './attention.js';
import { rmsNorm, swiglu } from './parts.js';
import { layerNames, tensorsOfLayer, WeightInputs, type GraphModel } from './weights.js';

/** A batch of B sequences padded to T tokens, each after `past` others. */
export interface BatchShape {
  T: number;
  B: number;
  /** The most tokens before the first, whose keys and values are inputs; 0 for whole sequences. */
  past: number;
}

/** Which graph of a layer: it takes batches of any shape that have this form. */
export interface LayerForm {
  /** Into so many the queries are cut; T is a multiple of it. */
  blocks: number;
  /** Whether there are keys and values before the first token. */
  past: boolean;
  /** Whether some sequences have fewer of them. */
  ragged: boolean;
  /** Whether keys and values are given out, and their gradients taken in: other sequences go on from these. */
  shared: boolean;
}

/** What a shape makes of the stand-ins of a layer's graphs. */
export function layerSizes({ heads, kvHeads }: ModelConfig, { T, B, past }: BatchShape, { blocks }: LayerForm): Sizes {
  const group = heads / kvHeads;
  const every = (t: number, b: number, before: number): number[] => [
    ...[t, b, before, before + t, t * b, t * group, t * b * heads, t * b * kvHeads],
    ...Array.from({ length: blocks }, (_, i) => (i * t) / blocks).flatMap((cut) => [cut, cut * group, before + cut]),
    ...[t / blocks, (t / blocks) * group],
  ];
  const values = every(T, B, past);
  return new Sizes(every(STAND_IN.T, STAND_IN.B, STAND_IN.past).map((standIn, i) => [standIn, values[i] as number]));
}

/** A length that a batch of these sequences can have: a multiple of the blocks its queries are cut into. */
export function paddedLength(length: number): number {
  const blocks = blocksFor(length);
  return Math.ceil(length / blocks) * blocks;
}

/** Names of the graphs' inputs and outputs besides the weights and what the forward graph carries over. */
export const IO = {
  x: 'x',
  y: 'y',
  dx: 'd_x',
  dy: 'd_y',
  /** int64 [T, B]: of each token in its sequence. */
  positions: 'positions',
  /** float32 [rows, headDim / 2]: of more rows than the last position, and of at least B. */
  cos: 'rope_cos',
  sin: 'rope_sin',
  /** float32 [past, B, kvHeads * headDim], rotated. */
  pastKeys: 'past_keys',
  pastValues: 'past_values',
  /** As attention takes them, float32 [T * heads / kvHeads, 1] and [past + T, 1 or B]. */
  queryNumbers: 'query_numbers',
  keyNumbers: 'key_numbers',
  dPastKeys: 'd_past_keys',
  dPastValues: 'd_past_values',
  /** Gradients of the keys and values given out, from the sequences that go on. */
  dKeys: 'd_keys',
  dValues: 'd_values',
  /** Input: the gradient so far. Output: with this batch's added. */
  accumulator: (name: string) => `acc.${name}`,
  gradient: (name: string) => `grad.${name}`,
} as const;

const { T, B } = STAND_IN;

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
    readonly form: LayerForm,
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
    const projected = this.inputs.linear(x, module);
    const normed = qkNorm ? this.#norm(g.reshape(projected, [T * B * heads, headDim]), gain) : projected;
    const rows = g.reshape(normed, [T, B, heads * headDim]);
    return nopeLayers.includes(this.layer) ? rows : g.node('RotaryEmbedding', [rows, ...this.#rope()]);
  }

  #ropeInputs: Value[] | undefined;

  /** Positions and tables. The op takes the first axis for its batch, and wants as many rows as the second has. */
  #rope(): Value[] {
    const table = [ANY, this.model.config.headDim / 2];
    return (this.#ropeInputs ??= [
      this.g.input(IO.positions, 'int64', [T, B]),
      this.g.input(IO.cos, 'float32', table),
      this.g.input(IO.sin, 'float32', table),
    ]);
  }

  #attention(x: Value): { y: Value; past: Value[]; given: [keys: Value, values: Value] } {
    const { heads, kvHeads, headDim } = this.model.config;
    const width = kvHeads * headDim;
    const q = this.#rotated(x, this.#names.q, this.#names.qNorm, heads);
    const keys = this.#rotated(x, this.#names.k, this.#names.kNorm, kvHeads);
    const values = this.inputs.linear(x, this.#names.v);
    const own = [keys, this.g.reshape(values, [T, B, width])] as const;
    const before = this.form.past ? STAND_IN.past : 0;
    const names = this.form.past ? [IO.pastKeys, IO.pastValues] : [];
    const past = names.map((name) => this.g.input(name, 'float32', [before, B, width]));
    const [k, v] = own.map((value, i) => this.g.join(past[i] ? [past[i], value] : [value])) as [Value, Value];
    const queryNumbers = this.g.input(IO.queryNumbers, 'float32', [(T * heads) / kvHeads, 1]);
    const keyNumbers = this.g.input(IO.keyNumbers, 'float32', [before + T, this.form.ragged ? B : 1]);
    const shape = { T, B, past: before, heads, kvHeads, headDim };
    const context = attention(this.g, { q, k, v, queryNumbers, keyNumbers }, shape, this.form.blocks);
    return { y: this.inputs.linear(context, this.#names.o), past, given: [keys, values] };
  }

  #mlp(x: Value): Value {
    const { linear } = this.inputs;
    return linear(swiglu(this.g, linear(x, this.#names.gate), linear(x, this.#names.up)), this.#names.down);
  }

  /** x [N, H] -> y [N, H]. */
  build(): { x: Value; y: Value; past: Value[]; given: [keys: Value, values: Value] } {
    const x = this.g.input(IO.x, 'float32', [T * B, this.model.config.hiddenSize]);
    const attended = this.#attention(this.#norm(x, this.#names.inputNorm));
    const middle = this.g.add(x, attended.y);
    const y = this.g.add(middle, this.#mlp(this.#norm(middle, this.#names.mlpNorm)));
    return { ...attended, x, y };
  }
}

/** What a graph of a layer gives out of its keys and values, where its form is `shared`: under the names of these. */
export interface Given {
  keys: Value;
  values: Value;
}

/**
 * Builds the forward graph of a layer. Inputs: the layer's weights; `x` [T*B, H], time-major; where it rotates, positions
 * and tables; keys and values of the past. Outputs: `y` [T*B, H], and what is given.
 */
export function layerGraph(model: GraphModel, layer: number, form: LayerForm): { graph: Graph; given?: Given } {
  const decoder = new LayerGraph(model, layer, form);
  const { y, given } = decoder.build();
  decoder.g.output(IO.y, y);
  if (!form.shared) return { graph: decoder.g };
  for (const value of given) decoder.g.output(value.name, value);
  return { graph: decoder.g, given: { keys: given[0], values: given[1] } };
}

/**
 * Builds the forward graph of `layerGraph` with what the backward one needs as further outputs, and the backward graph.
 * Backward inputs: the weights, `x`, what is carried over, `d_y` [T*B, H], and `acc.<weight>` for every trained weight;
 * outputs: `d_x` [T*B, H], and `grad.<weight>` for every trained weight. Besides, gradients of keys and values: of those
 * given, inputs; of those of the past, outputs.
 */
export function layerGraphs(
  model: GraphModel,
  layer: number,
  form: LayerForm,
  trained: (name: string) => boolean,
): Split & { given?: Given } {
  const decoder = new LayerGraph(model, layer, form);
  const g = decoder.g;
  const { x, y, past, given } = decoder.build();
  const forwardNodes = g.nodes.length;
  g.output(IO.y, y);

  const weights = tensorsOfLayer(model, layer).filter(trained).map(decoder.inputs.weight);
  const seed = (value: Value, name: string): [Value, Value] => [value, g.input(name, 'float32', value.shape)];
  const seeds = [seed(y, IO.dy)];
  if (form.shared) seeds.push(seed(given[0], IO.dKeys), seed(given[1], IO.dValues));
  const gradients = addGradients(g, seeds, [x, ...past, ...weights]);
  const gradient = (value: Value): Value => {
    const found = gradients.get(value.name);
    if (!found) throw new Error(`no gradient reaches ${value.name}`);
    return found;
  };
  g.output(IO.dx, gradient(x));
  past.forEach((value, i) => g.output([IO.dPastKeys, IO.dPastValues][i] as string, gradient(value)));
  for (const weight of weights) {
    const accumulator = g.input(IO.accumulator(weight.name), 'float32', weight.shape);
    g.output(IO.gradient(weight.name), g.addInto(accumulator, gradient(weight)));
  }
  const split = splitGraph(g, forwardNodes);
  if (!form.shared) return split;
  for (const value of given) {
    if (split.carried.includes(value)) continue;
    split.carried.push(value);
    split.first.output(value.name, value);
  }
  return { ...split, given: { keys: given[0], values: given[1] } };
}
