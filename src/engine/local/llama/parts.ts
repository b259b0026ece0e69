import { GRADIENTS } from '../graph/gradients.js';
import type { Graph } from '../graph/graph.js';
import type { Value } from '../graph/values.js';

/**
 * The parts of a decoder layer that are not products with weights, each with its gradient written out, so that
 * activations are passed over as few times as possible. Checked by finite differences in tests/engine/parts.test.ts.
 */

/**
 * y = x / rms(x) * gain over the last axis of x [N, H].
 * With r = 1 / rms(x) and E = dy * x:  dgain = r^T E,  dx = r (dy * gain) - x r^3 (E gain) / H.
 */
export function rmsNorm(g: Graph, x: Value, gain: Value, eps: number): Value {
  const H = x.shape[1] as number;
  const [y, r] = g.nodeOutputs('SimplifiedLayerNormalization', [x, gain], { axis: -1, epsilon: { float: eps } }) as [
    Value,
    Value,
  ];
  return g.composite(y, {
    inputs: [x, gain],
    vjp: (dy, wants) => {
      const E = g.mul(dy, x);
      const dgain = (): Value => g.reshape(g.node('Gemm', [r, E], { transA: 1 }), [H]);
      const along = g.node('Gemm', [E, g.reshape(gain, [H, 1])]);
      const cube = g.mul(g.mul(r, r), r);
      const k = g.mul(g.scale(along, 1 / H), cube);
      return [g.sub(g.mul(g.mul(dy, gain), r), g.mul(x, k)), wants(1) ? dgain() : undefined];
    },
  });
}

/**
 * h = silu(gate) * up. With s = sigmoid(gate), u = dh * up and q = dh * h:
 * dup = dh * silu(gate),  dgate = s (u - q) + q.
 */
export function swiglu(g: Graph, gate: Value, up: Value): Value {
  const silu = g.node('QuickGelu', [gate], { alpha: { float: 1 } });
  const h = g.mul(silu, up);
  return g.composite(h, {
    inputs: [gate, up],
    vjp: (dh) => {
      const [u, q] = [g.mul(dh, up), g.mul(dh, h)];
      return [g.add(g.mul(g.node('Sigmoid', [gate]), g.sub(u, q)), q), g.mul(dh, silu)];
    },
  });
}

export interface AttentionShape {
  T: number;
  B: number;
  heads: number;
  kvHeads: number;
  headDim: number;
}

/**
 * Causal attention. q [T, B, heads * D], k and v [T, B, kvHeads * D] -> [T * B, heads * D]. Grouped queries are rows
 * (t, group) of their key head, so K and V are not repeated; leading-dimension transposition of FusedMatMul reads the
 * operands in place.
 * With P the weights and c the context: dS = P * (dP - rowsum(dc * c)), the sum running over D and not over T.
 */
export function attention(g: Graph, q: Value, k: Value, v: Value, mask: Value, shape: AttentionShape): Value {
  const { T, B, heads, kvHeads, headDim: D } = shape;
  const group = heads / kvHeads;
  const grouped = group === 1 ? q : g.transpose(g.reshape(q, [T, B, kvHeads, group, D]), [0, 3, 1, 2, 4]);
  const rows = g.reshape(grouped, [T * group, B, kvHeads, D]);
  const [keys, values] = [g.reshape(k, [T, B, kvHeads, D]), g.reshape(v, [T, B, kvHeads, D])];
  const scale = { float: 1 / Math.sqrt(D) };
  const scores = g.node('FusedMatMul', [rows, keys], { transBatchA: 1, transBatchB: 1, transB: 1, alpha: scale });
  const weights = g.node('Softmax', [g.add(scores, mask)]);
  const context = g.node('FusedMatMul', [weights, values], { transBatchB: 1, alpha: { float: 1 } });
  const byToken = g.transpose(g.reshape(context, [B, kvHeads, T, group, D]), [2, 0, 1, 3, 4]);
  const core = g.composite(byToken, {
    inputs: [rows, keys, values],
    vjp: (dc) => {
      const perRow = g.transpose(g.sum(g.mul(dc, byToken), [4]), [1, 2, 0, 3, 4]);
      const dContext = g.reshape(g.transpose(dc, [1, 2, 0, 3, 4]), context.shape);
      const [dWeights, dValues] = ruleOf(g, context, dContext) as [Value, Value];
      const dScores = g.mul(weights, g.sub(dWeights, g.reshape(perRow, [B, kvHeads, T * group, 1])));
      const [dRows, dKeys] = ruleOf(g, scores, dScores);
      return [dRows, dKeys, dValues];
    },
  });
  return g.reshape(core, [T * B, heads * D]);
}

/** Gradients of the inputs of the node that made `y`. */
function ruleOf(g: Graph, y: Value, dy: Value): (Value | undefined)[] {
  const node = g.nodes.find(({ outputs }) => outputs[0]?.name === y.name);
  if (!node) throw new Error(`no node makes ${y.name}`);
  return GRADIENTS[node.op]({ g, node, x: node.inputs, y, dy, wants: () => true });
}

/** What causal attention adds to its scores: 0, or -infinity for keys of later tokens; [T * group, T]. */
export function causalMask(g: Graph, T: number, group: number): Value {
  return g.constant(
    Float32Array.from({ length: T * group * T }, (_, i) => (i % T > Math.floor(i / (T * group)) ? -Infinity : 0)),
    [T * group, T],
  );
}
