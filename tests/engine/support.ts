import { RandomStream } from '../../src/core/index.js';
import { addGradients } from '../../src/engine/local/graph/autodiff.js';
import { Graph } from '../../src/engine/local/graph/graph.js';
import type { Shape, Value } from '../../src/engine/local/graph/values.js';
import { sizeOf } from '../../src/engine/local/graph/values.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from '../../src/engine/local/session.js';

export type Feed = Float32Array | Int32Array | BigInt64Array;

export function normals(seed: number, name: string, shape: Shape, scale = 1): Float32Array {
  const random = new RandomStream(seed, name);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.nextNormal() * scale);
}

/** Compiles a graph, runs it once, returns its outputs. */
export async function evaluate(
  graph: Graph,
  feeds: Record<string, Feed>,
  options: SessionOptions = { threads: 1, outputs: 'plain' },
): Promise<Record<string, Float32Array>> {
  const ort = await loadOrt();
  const compiled = await CompiledGraph.compile(graph, options);
  const tensors: Record<string, Tensor> = {};
  for (const { name, dtype, shape } of graph.inputs) {
    if (dtype === 'bool') throw new Error('no bool inputs');
    tensors[name] = tensorOf(ort, dtype, shape, feeds[name] as never);
  }
  const outputs = Object.fromEntries(
    graph.outputs.map(({ name, value }) => [name, tensorOf(ort, 'float32', value.shape)]),
  );
  await compiled.run(tensors, outputs);
  await compiled.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data as Float32Array]));
}

/** A function of float inputs, as a graph. */
export interface Differentiable {
  shapes: Shape[];
  build(g: Graph, x: Value[]): Value;
}

const named = (inputs: readonly Feed[]): Record<string, Feed> =>
  Object.fromEntries(inputs.map((data, i) => [`x${i}`, data]));

const inputsOf = (g: Graph, { shapes }: Differentiable): Value[] =>
  shapes.map((shape, i) => g.input(`x${i}`, 'float32', shape));

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/**
 * For each input the derivative of <y, fixed random weights> along a random direction: by addGradients, and by central
 * differences.
 */
export async function directionalGradients(
  test: Differentiable,
  inputs: readonly Float32Array[],
): Promise<{ exact: number; numeric: number }[]> {
  const g = new Graph();
  const x = inputsOf(g, test);
  const y = test.build(g, x);
  const weights = normals(8, 'weights', y.shape);
  const gradients = addGradients(g, [[y, g.scale(g.constant(weights, y.shape), 1)]], x);
  x.forEach((value) => g.output(`d_${value.name}`, gradients.get(value.name) as Value));
  const analytic = await evaluate(g, named(inputs));

  const plain = new Graph();
  plain.output('y', test.build(plain, inputsOf(plain, test)));
  const weighted = async (at: readonly Float32Array[]): Promise<number> =>
    dot((await evaluate(plain, named(at))).y as Float32Array, weights);
  const step = 1e-2;
  const results = [];
  for (let i = 0; i < inputs.length; i++) {
    const direction = normals(9, `direction${i}`, test.shapes[i] as Shape);
    const shifted = (sign: number): Float32Array[] =>
      inputs.map((data, j) =>
        j === i ? data.map((value, k) => value + sign * step * (direction[k] as number)) : data,
      );
    const numeric = ((await weighted(shifted(1))) - (await weighted(shifted(-1)))) / (2 * step);
    results.push({ exact: dot(analytic[`d_x${i}`] as Float32Array, direction), numeric });
  }
  return results;
}
