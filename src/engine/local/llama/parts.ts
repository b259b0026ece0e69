import type { Graph } from '../graph/graph.js';
import type { Value } from '../graph/values.js';

/**
 * The parts of a decoder layer that are not products with weights, each with its gradient written out, so that
 * activations are passed over as few times as possible. Checked by finite differences in tests/engine/parts.test.ts.
 */

/**
 * y = x / rms(x) * gain over the last axis of x [N, H].
 * With r = 1 / rms(x) and E = dy * x:  dgain = r^T E,  dx = r (dy * gain - x r^2 (E gain) / H).
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
      const mean = g.node('Gemm', [E, g.reshape(gain, [H, 1])], { alpha: { float: 1 / H } });
      const k = g.mul(g.mul(mean, r), r);
      return [g.mul(g.sub(g.mul(dy, gain), g.mul(x, k)), r), wants(1) ? dgain() : undefined];
    },
  });
}

/**
 * h = silu(gate) * up. With s = sigmoid(gate) and p = dh * silu(gate):
 * dup = p,  dgate = up (s (dh - p) + p).
 */
export function swiglu(g: Graph, gate: Value, up: Value): Value {
  const sigmoid = g.node('Sigmoid', [gate]);
  const silu = g.mul(gate, sigmoid);
  return g.composite(g.mul(silu, up), {
    inputs: [gate, up],
    vjp: (dh) => {
      const p = g.mul(dh, silu);
      return [g.mul(up, g.add(g.mul(sigmoid, g.sub(dh, p)), p)), p];
    },
  });
}
