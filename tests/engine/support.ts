import { RandomStream } from '../../src/core/index.js';
import type { Graph } from '../../src/engine/local/graph/graph.js';
import type { Shape } from '../../src/engine/local/graph/values.js';
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
