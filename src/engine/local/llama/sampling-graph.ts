import type { ModelConfig } from '../../../model/index.js';
import { Graph } from '../graph/graph.js';
import { Sizes, STAND_IN } from '../graph/sizes.js';
import { ANY, type Value } from '../graph/values.js';
import { EMBEDDING, FINAL_NORM, headName, layerNames, WeightInputs, type GraphModel } from './weights.js';

/**
 * What a run chooses: B rows of S new tokens each, one where it decodes and several where it reads. Several rows of
 * several tokens are read from nothing and right-padded; the kernel takes no more than one whose first tokens are in
 * the cache already.
 */
export interface SamplingShape {
  B: number;
  S: number;
}

/** What a shape makes of the stand-ins of the graph. */
export function samplingSizes({ heads, kvHeads }: ModelConfig, { B, S }: SamplingShape): Sizes {
  const every = (b: number, s: number): number[] => [b, s, b * s, b * s * heads, b * s * kvHeads];
  const values = every(B, S);
  return new Sizes(every(STAND_IN.B, STAND_IN.T).map((standIn, i) => [standIn, values[i] as number]));
}

export const SAMPLING_IO = {
  ids: 'ids',
  /** int32 [B]: length of the row including the new tokens, minus one. */
  lastPosition: 'last_position',
  /** int32 [1]: longest row, including the new tokens. */
  totalLength: 'total_length',
  /** int64 [B]: index of each row's last real token in the flattened [B*S]. */
  lastIndex: 'last_index',
  /** float32 [rows, headDim / 2], at least as many rows as the cache is long. */
  cos: 'rope_cos',
  sin: 'rope_sin',
  /** float32 [B, 1]. */
  inverseTemperature: 'inverse_temperature',
  logprobs: 'logprobs',
  probabilities: 'probabilities',
  pastKey: (layer: number) => `past_key.${layer}`,
  pastValue: (layer: number) => `past_value.${layer}`,
  presentKey: (layer: number) => `present_key.${layer}`,
  presentValue: (layer: number) => `present_value.${layer}`,
} as const;

/**
 * The decoder for sampling, batch-major, with a KV cache [B, kvHeads, length, headDim] of any length fed and fetched as one tensor.
 * Outputs for the last token of each row: `logprobs` [B, V] at temperature 1, and `probabilities` [B, V] at the
 * row's temperature.
 * @param constants weights that are to be constants of the graph, which ONNX Runtime then arranges for its products once
 */
export function samplingGraph(model: GraphModel, constants?: ReadonlyMap<string, Float32Array>): Graph {
  const g = new Graph();
  const { B, T: S } = STAND_IN;
  const { config } = model;
  const { weight, linear } = new WeightInputs(g, model, model.shapes.keys(), constants);
  const { heads, kvHeads, headDim } = config;
  const io = SAMPLING_IO;
  const lastPosition = g.input(io.lastPosition, 'int32', [B]);
  const totalLength = g.input(io.totalLength, 'int32', [1]);
  const cos = g.input(io.cos, 'float32', [ANY, headDim / 2]);
  const sin = g.input(io.sin, 'float32', [ANY, headDim / 2]);
  const norm = (x: Value, gain: string): Value =>
    g.node('SimplifiedLayerNormalization', [x, weight(gain)], { axis: -1, epsilon: { float: config.rmsEps } });

  /** A projection as attention takes it, [B, S, count * headDim]; queries and keys normalised where the model does so. */
  const project = (x: Value, module: string, count: number, gain?: string): Value => {
    const rows = linear(x, module);
    const normed = gain && config.qkNorm ? norm(g.reshape(rows, [B * S * count, headDim]), gain) : rows;
    return g.reshape(normed, [B, S, count * headDim]);
  };

  const attention = (x: Value, i: number): Value => {
    const layer = layerNames(i);
    const rotates = !config.nopeLayers.includes(i);
    const cache = (name: string): Value => g.input(name, 'float32', [B, kvHeads, ANY, headDim]);
    const [context, key, value] = g.nodeOutputs(
      'GroupQueryAttention',
      [
        project(x, layer.q, heads, layer.qNorm),
        project(x, layer.k, kvHeads, layer.kNorm),
        project(x, layer.v, kvHeads),
        cache(io.pastKey(i)),
        cache(io.pastValue(i)),
        lastPosition,
        totalLength,
        ...(rotates ? [cos, sin] : []),
      ],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        do_rotary: Number(rotates),
        rotary_interleaved: 0,
        scale: { float: 1 / Math.sqrt(headDim) },
      },
    ) as [Value, Value, Value];
    g.output(io.presentKey(i), key);
    g.output(io.presentValue(i), value);
    return linear(g.reshape(context, [B * S, heads * headDim]), layer.o);
  };

  const mlp = (x: Value, i: number): Value => {
    const layer = layerNames(i);
    const silu = g.node('QuickGelu', [linear(x, layer.gate)], { alpha: { float: 1 } });
    return linear(g.mul(silu, linear(x, layer.up)), layer.down);
  };

  let x = g.node('Gather', [weight(EMBEDDING), g.input(io.ids, 'int64', [B * S])]);
  for (let i = 0; i < config.layers; i++) {
    x = g.add(x, attention(norm(x, layerNames(i).inputNorm), i));
    x = g.add(x, mlp(norm(x, layerNames(i).mlpNorm), i));
  }
  const last = g.node('Gather', [x, g.input(io.lastIndex, 'int64', [B])]);
  const logits = g.linear(norm(last, FINAL_NORM), weight(headName(config)));
  g.output(io.logprobs, g.node('LogSoftmax', [logits]));
  g.output(io.probabilities, g.node('Softmax', [g.mul(logits, g.input(io.inverseTemperature, 'float32', [B, 1]))]));
  return g;
}
