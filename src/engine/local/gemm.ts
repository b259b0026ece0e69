import { Graph } from './graph/graph.js';
import { CompiledGraph, loadOrt, tensorOf } from './session.js';

/** One timed matrix product C[m,n] = A[m,k] B[n,k]^T. */
export interface GemmRate {
  shape: string;
  /** Best over the runs, 2 m k n operations each. */
  gflops: number;
}

/** Shapes that training runs: a square one, a projection of SmolLM2, an MLP of a small model. */
export const GEMM_SHAPES: readonly (readonly [m: number, k: number, n: number])[] = [
  [1024, 1024, 1024],
  [1024, 576, 576],
  [1024, 128, 384],
];

/**
 * Best rate of one product over repeated runs for about `seconds`, through the same kernels that training uses.
 * @throws HoneError('resource') when onnxruntime-node is not installed
 */
export async function measureGemm(
  [m, k, n]: readonly [m: number, k: number, n: number],
  seconds: number,
  threads: number,
): Promise<GemmRate> {
  const ort = await loadOrt();
  const graph = new Graph();
  graph.output('c', graph.linear(graph.input('a', 'float32', [m, k]), graph.input('b', 'float32', [n, k])));
  const compiled = await CompiledGraph.compile(graph, { threads, outputs: 'in-place' });
  const feeds = {
    a: tensorOf(ort, 'float32', [m, k], new Float32Array(m * k).fill(0.5)),
    b: tensorOf(ort, 'float32', [n, k], new Float32Array(n * k).fill(0.25)),
  };
  const fetches = { c: tensorOf(ort, 'float32', [m, n]) };
  let best = Infinity;
  const end = performance.now() + 1000 * seconds;
  do {
    const start = performance.now();
    await compiled.run(feeds, fetches);
    best = Math.min(best, (performance.now() - start) / 1000);
  } while (performance.now() < end);
  await compiled.release();
  return { shape: `${m}x${k}x${n}`, gflops: Math.round((2 * m * k * n) / best / 1e9) };
}
