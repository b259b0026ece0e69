import { describe, expect, it } from 'vitest';
import { addGradients } from '../../src/engine/local/graph/autodiff.js';
import { Graph } from '../../src/engine/local/graph/graph.js';
import { splitGraph } from '../../src/engine/local/graph/split.js';
import type { Shape, Value } from '../../src/engine/local/graph/values.js';
import { attention } from '../../src/engine/local/llama/attention.js';
import { rmsNorm, swiglu } from '../../src/engine/local/llama/parts.js';
import { evaluate, normals } from './support.js';

interface Whole {
  graph: Graph;
  /** Nodes of the forward pass. */
  at: number;
}

const shapes = { x: [6, 8], gain: [8], wq: [8, 8], gate: [12, 8], down: [8, 12], dy: [6, 8] };

/** Norm, attention and MLP with their gradients: outputs y and d_<input>. */
function layer(): Whole {
  const g = new Graph();
  const input = (name: keyof typeof shapes): Value => g.input(name, 'float32', shapes[name]);
  const [x, gain, wq, gate, down] = (['x', 'gain', 'wq', 'gate', 'down'] as const).map(input) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const norm = rmsNorm(g, x, gain, 1e-5);
  const q = g.reshape(g.linear(norm, wq), [3, 2, 8]);
  const shape = { T: 3, B: 2, heads: 2, kvHeads: 2, headDim: 4 };
  const order = (shape: Shape): Value => g.constant(Float32Array.of(0, 1, 2), shape);
  const numbers = { queryNumbers: order([3, 1]), keyNumbers: order([3, 1]) };
  const middle = g.add(x, attention(g, { q, k: q, v: q, ...numbers }, shape));
  const h = swiglu(g, g.linear(middle, gate), g.scale(g.linear(norm, gate), 2));
  const y = g.add(middle, g.linear(h, down));
  const at = g.nodes.length;
  g.output('y', y);
  const gradients = addGradients(g, [[y, input('dy')]], [x, gain, wq, gate, down]);
  for (const [name, gradient] of gradients) g.output(`d_${name}`, gradient);
  return { graph: g, at };
}

const feeds = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, normals(3, name, shape)]));

describe('a graph cut in two', () => {
  it('gives what the whole gives', async () => {
    const { graph, at } = layer();
    const { first, second, carried } = splitGraph(graph, at);
    const wanted = await evaluate(graph, feeds);
    const forward = await evaluate(first, feeds);
    expect(Object.keys(forward).sort()).toEqual(['y', ...carried.map(({ name }) => name)].sort());
    const backward = await evaluate(second, { ...feeds, ...forward });
    expect(Object.keys({ y: 0, ...backward }).sort()).toEqual(Object.keys(wanted).sort());
    for (const [name, values] of Object.entries({ y: forward.y as Float32Array, ...backward }))
      values.forEach((value, i) => expect(Math.abs(value - (wanted[name]?.[i] as number))).toBeLessThan(1e-5));
  });

  it('carries over what the second half reads and cannot make again in one pass', () => {
    const { graph, at } = layer();
    const { second, carried } = splitGraph(graph, at);
    const forward = graph.nodes.slice(0, at);
    const maker = (name: string): string | undefined =>
      forward.find(({ outputs }) => outputs.some((value) => value.name === name))?.op;
    const ops = carried.map(({ name }) => maker(name));
    expect(ops).toEqual(expect.arrayContaining(['Gemm', 'Softmax']));
    for (const op of ops) expect(['Reshape', 'Mul', 'Sigmoid', 'SimplifiedLayerNormalization']).not.toContain(op);
    const read = new Set(second.nodes.flatMap(({ inputs }) => inputs.map(({ name }) => name)));
    for (const { name } of carried) expect(read).toContain(name);
    expect(new Set(carried.map(({ name }) => name)).size).toBe(carried.length);
    const repeated = second.nodes.filter((node) => forward.includes(node));
    expect(repeated.map(({ op }) => op)).toEqual(
      expect.arrayContaining(['SimplifiedLayerNormalization', 'Sigmoid', 'Mul']),
    );
    expect(new Set(repeated).size).toBe(repeated.length);
  });

  it('carries nothing where the second half needs only the inputs', async () => {
    const g = new Graph();
    const [a, b, dy] = ['a', 'b', 'dy'].map((name) => g.input(name, 'float32', [4])) as [Value, Value, Value];
    const y = g.mul(g.mul(a, b), b);
    g.output('y', y);
    const at = g.nodes.length;
    g.output('da', addGradients(g, [[y, dy]], [a]).get('a') as Value);
    const { first, second, carried } = splitGraph(g, at);
    expect(carried).toEqual([]);
    expect(first.inputs.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(second.inputs.map(({ name }) => name).sort()).toEqual(['b', 'dy']);
    const { da } = await evaluate(second, { b: Float32Array.of(1, 2, 3, 4), dy: Float32Array.of(1, 1, 1, 2) });
    expect([...(da as Float32Array)]).toEqual([1, 4, 9, 32]);
  });
});
