import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/engine/local/graph/graph.js';
import { SessionCache } from '../../src/engine/local/session-cache.js';
import { CompiledGraph, loadOrt, tensorOf } from '../../src/engine/local/session.js';
import { evaluate, normals } from './support.js';

function layer(): Graph {
  const g = new Graph();
  const [x, w] = [g.input('x', 'float32', [7, 5]), g.input('w', 'float32', [5, 5])];
  const y = g.node('Softmax', [g.add(g.linear(x, w), x)]);
  g.output('y', y);
  g.output('sum', g.sum(y, [0]));
  return g;
}

describe('output modes of a session', () => {
  const feeds = { x: normals(1, 'x', [7, 5]), w: normals(1, 'w', [5, 5]) };

  it('in place and plain give equal bits, on one thread and on two', async () => {
    const runs = await Promise.all(
      (['in-place', 'plain'] as const).flatMap((outputs) =>
        [1, 2].map((threads) => evaluate(layer(), feeds, { threads, outputs })),
      ),
    );
    for (const run of runs) expect(run).toEqual(runs[0]);
    expect(runs[0]?.['sum']?.reduce((sum, value) => sum + value, 0)).toBeCloseTo(7, 5);
  });

  it.each(['in-place', 'plain'] as const)('%s: a tensor that is fed and fetched accumulates', async (outputs) => {
    const ort = await loadOrt();
    const g = new Graph();
    const product = g.node('Gemm', [g.input('x', 'float32', [3, 4]), g.input('w', 'float32', [3, 5])], { transA: 1 });
    g.output('sum', g.addInto(g.input('acc', 'float32', [4, 5]), product));
    const graph = await CompiledGraph.compile(g, { threads: 1, outputs });
    const [x, w] = [normals(2, 'x', [3, 4]), normals(2, 'w', [3, 5])];
    const acc = tensorOf(ort, 'float32', [4, 5]);
    const inputs = { x: tensorOf(ort, 'float32', [3, 4], x), w: tensorOf(ort, 'float32', [3, 5], w), acc };
    for (let i = 0; i < 3; i++) await graph.run(inputs, { sum: acc });
    await graph.release();
    const expected = (row: number, column: number): number =>
      3 * [0, 1, 2].reduce((sum, n) => sum + (x[n * 4 + row] as number) * (w[n * 5 + column] as number), 0);
    (acc.data as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(expected(Math.floor(i / 5), i % 5), 4));
  });

  it('a failing graph throws and is not taken for the missing copy', async () => {
    const ort = await loadOrt();
    const graph = await CompiledGraph.compile(layer(), { threads: 1, outputs: 'in-place' });
    const x = tensorOf(ort, 'float32', [7, 5]);
    await expect(graph.run({ x }, { y: tensorOf(ort, 'float32', [7, 5]) })).rejects.toThrow(/w/);
    await graph.release();
  });

  it('refuses one value under two output names', async () => {
    const g = new Graph();
    const y = g.neg(g.input('x', 'float32', [2]));
    g.output('a', y);
    g.output('b', y);
    await expect(CompiledGraph.compile(g, { threads: 1, outputs: 'plain' })).rejects.toThrow('output twice');
  });
});

describe('session cache', () => {
  it('keeps what fits, drops the least recently used, and always keeps the newest', async () => {
    const cache = new SessionCache(100);
    const compiled: string[] = [];
    const get = (key: string, bytes: number) =>
      cache.get(key, bytes, () => {
        compiled.push(key);
        return CompiledGraph.compile(layer(), { threads: 1, outputs: 'plain' });
      });
    await get('a', 40);
    await get('b', 40);
    await get('a', 40);
    await get('c', 40); // b goes: a was used since
    await get('a', 40);
    await get('b', 40);
    expect(compiled).toEqual(['a', 'b', 'c', 'b']);
    await get('huge', 500);
    await get('huge', 500);
    expect(compiled.at(-1)).toBe('huge');
    expect(compiled.filter((key) => key === 'huge')).toHaveLength(1);
    await cache.clear();
  });
});
