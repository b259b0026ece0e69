import { describe, expect, it } from 'vitest';
import { addGradients } from '../../src/engine/local/graph/autodiff.js';
import { Graph } from '../../src/engine/local/graph/graph.js';
import type { Value } from '../../src/engine/local/graph/values.js';
import { attention, type AttentionShape } from '../../src/engine/local/llama/attention.js';
import { rmsNorm, swiglu } from '../../src/engine/local/llama/parts.js';
import { directionalGradients, evaluate, normals, type Differentiable } from './support.js';

const EPS = 1e-5;

/** `blocks`: into so many the queries are cut; `starts`: of the keys of the past, how many each sequence has. */
type AttentionCase = AttentionShape & { blocks?: number; starts?: readonly number[] };

function attentionCase({ blocks, starts, ...shape }: AttentionCase): Differentiable {
  const { T, B, past = 0, heads, kvHeads, headDim: D } = shape;
  return {
    shapes: [
      [T, B, heads * D],
      [past + T, B, kvHeads * D],
      [past + T, B, kvHeads * D],
    ],
    build: (g, [q, k, v]) =>
      attention(g, { q: q as Value, k: k as Value, v: v as Value, ...numbers(g, shape, starts) }, shape, blocks),
  };
}

/** Numbers of queries and keys as constants. */
function numbers(g: Graph, { T, B, past = 0, heads, kvHeads }: AttentionShape, starts?: readonly number[]) {
  const [group, keys, columns] = [heads / kvHeads, past + T, starts ? B : 1];
  const missing = (key: number, b: number): boolean => key < past && key >= (starts?.[b] ?? past);
  const queryNumbers = Float32Array.from({ length: T * group }, (_, i) => past + Math.floor(i / group));
  const keyNumbers = Float32Array.from({ length: keys * columns }, (_, i) => {
    const key = Math.floor(i / columns);
    return missing(key, i % columns) ? Infinity : key;
  });
  return {
    queryNumbers: g.constant(queryNumbers, [T * group, 1]),
    keyNumbers: g.constant(keyNumbers, [keys, columns]),
  };
}

const SHAPE: AttentionShape = { T: 5, B: 2, heads: 4, kvHeads: 4, headDim: 4 };
const ATTENTION: Record<string, AttentionCase> = {
  'attention, a key head for each head': SHAPE,
  'attention, two groups': { ...SHAPE, kvHeads: 2 },
  'attention, one key head': { ...SHAPE, kvHeads: 1 },
  'attention, more sequences than tokens': { ...SHAPE, T: 2, B: 5, kvHeads: 2 },
  'attention, one token': { ...SHAPE, T: 1, B: 1 },
  'attention, in blocks': { ...SHAPE, T: 7, blocks: 3 },
  'attention, two groups in blocks': { ...SHAPE, T: 6, kvHeads: 2, blocks: 3 },
  'attention after a prefix': { ...SHAPE, past: 3, kvHeads: 2 },
  'attention after a prefix, in blocks': { ...SHAPE, past: 3, blocks: 2 },
  'attention after prefixes of unequal lengths': { ...SHAPE, past: 4, kvHeads: 2, starts: [4, 1] },
  'attention after prefixes of unequal lengths, in blocks': { ...SHAPE, T: 6, past: 4, blocks: 2, starts: [0, 4] },
};

/** A decoder layer in small: every input is read more than once, and parts feed parts. */
const LAYER: Differentiable = {
  shapes: [[10, 8], [8], [16, 8], [8, 8], [8, 16], [12, 8], [12, 8], [8, 12]],
  build: (g, [x, gain, wq, wk, wo, gate, up, down]) => {
    const norm = rmsNorm(g, x as Value, gain as Value, EPS);
    const shape: AttentionShape = { T: 5, B: 2, heads: 4, kvHeads: 2, headDim: 4 };
    const [q, k] = [g.linear(norm, wq as Value), g.linear(norm, wk as Value)];
    const rows = (value: Value, heads: number): Value => g.reshape(value, [5, 2, heads * 4]);
    const operands = { q: rows(q, 4), k: rows(k, 2), v: rows(k, 2), ...numbers(g, shape) };
    const context = attention(g, operands, shape);
    const middle = g.add(x as Value, g.linear(context, wo as Value));
    const again = rmsNorm(g, middle, gain as Value, EPS);
    const h = swiglu(g, g.linear(again, gate as Value), g.linear(again, up as Value));
    return g.add(middle, g.linear(h, down as Value));
  },
};

const CASES: Record<string, Differentiable> = {
  rmsNorm: { shapes: [[6, 8], [8]], build: (g, [x, gain]) => rmsNorm(g, x as Value, gain as Value, EPS) },
  swiglu: {
    shapes: [
      [4, 6],
      [4, 6],
    ],
    build: (g, [gate, up]) => swiglu(g, gate as Value, up as Value),
  },
  ...Object.fromEntries(Object.entries(ATTENTION).map(([name, shape]) => [name, attentionCase(shape)])),
  'a layer of them': LAYER,
};

const inputsOf = (test: Differentiable): Float32Array[] => {
  // Scaled so that sums over the inputs of a product stay around one.
  const scale = test === LAYER ? 0.5 : 1;
  return test.shapes.map((shape, i) => normals(4, `part ${i}`, shape, scale));
};

describe('gradients of the parts of a layer against central differences', () => {
  it.each(Object.entries(CASES))('%s', async (_, test) => {
    const found = await directionalGradients(test, inputsOf(test));
    expect(found).toHaveLength(test.shapes.length);
    for (const { exact, numeric } of found)
      expect(Math.abs(exact - numeric)).toBeLessThan(3e-3 * Math.max(1, Math.abs(exact)));
  });

  it('a gain that is not trained costs no gradient and changes no other', async () => {
    const build = (trained: boolean) => {
      const g = new Graph();
      const [x, gain] = [g.input('x', 'float32', [6, 8]), g.input('gain', 'float32', [8])];
      const y = rmsNorm(g, x, gain, EPS);
      const dy = g.input('dy', 'float32', [6, 8]);
      const gradients = addGradients(g, [[y, dy]], trained ? [x, gain] : [x]);
      expect(gradients.has('gain')).toBe(trained);
      g.output('dx', gradients.get('x') as Value);
      return g;
    };
    const feeds = { x: normals(1, 'x', [6, 8]), gain: normals(1, 'gain', [8]), dy: normals(1, 'dy', [6, 8]) };
    expect(build(false).nodes.length).toBeLessThan(build(true).nodes.length);
    expect(await evaluate(build(false), feeds)).toEqual(await evaluate(build(true), feeds));
  });
});

async function forward(test: Differentiable, inputs: Float32Array[]): Promise<Float32Array> {
  const g = new Graph();
  const x = test.shapes.map((shape, i) => g.input(`x${i}`, 'float32', shape));
  g.output('y', test.build(g, x));
  return (await evaluate(g, Object.fromEntries(inputs.map((data, i) => [`x${i}`, data])))).y as Float32Array;
}

/** Causal attention by its definition, in float64; arguments and result as `attention` has them. */
function attentionByDefinition(
  [q, k, v]: Float32Array[],
  { T, B, past = 0, heads, kvHeads, headDim: D, starts }: AttentionCase,
): Float64Array {
  const out = new Float64Array(T * B * heads * D);
  const at = (data: Float32Array | undefined, t: number, b: number, head: number, count: number, d: number): number =>
    data?.[((t * B + b) * count + head) * D + d] as number;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor(h / (heads / kvHeads));
      for (let t = 0; t < T; t++) {
        const scores = Array.from({ length: past + t + 1 }, (_, s) => {
          if (s < past && s >= (starts?.[b] ?? past)) return 0;
          let sum = 0;
          for (let d = 0; d < D; d++) sum += at(q, t, b, h, heads, d) * at(k, s, b, kv, kvHeads, d);
          return Math.exp(sum / Math.sqrt(D));
        });
        const total = scores.reduce((sum, score) => sum + score, 0);
        for (let d = 0; d < D; d++)
          scores.forEach((score, s) => {
            const i = ((t * B + b) * heads + h) * D + d;
            out[i] = (out[i] as number) + (score / total) * at(v, s, b, kv, kvHeads, d);
          });
      }
    }
  return out;
}

describe('values of the parts of a layer by their definition', () => {
  it.each(Object.entries(ATTENTION))('%s', async (_, shape) => {
    const test = attentionCase(shape);
    const inputs = inputsOf(test);
    const wanted = attentionByDefinition(inputs, shape);
    const y = await forward(test, inputs);
    expect(y).toHaveLength(wanted.length);
    y.forEach((value, i) => expect(Math.abs(value - (wanted[i] as number))).toBeLessThan(1e-5));
  });

  it('rmsNorm', async () => {
    const test = CASES.rmsNorm as Differentiable;
    const [x, gain] = inputsOf(test) as [Float32Array, Float32Array];
    const y = await forward(test, [x, gain]);
    for (let n = 0; n < 6; n++) {
      const row = x.subarray(8 * n, 8 * n + 8);
      const rms = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / 8 + EPS);
      row.forEach((value, j) => expect(y[8 * n + j]).toBeCloseTo((value / rms) * (gain[j] as number), 5));
    }
  });

  it('swiglu', async () => {
    const test = CASES.swiglu as Differentiable;
    const [gate, up] = inputsOf(test) as [Float32Array, Float32Array];
    const y = await forward(test, [gate, up]);
    gate.forEach((z, i) => expect(y[i]).toBeCloseTo((z / (1 + Math.exp(-z))) * (up[i] as number), 5));
  });
});
