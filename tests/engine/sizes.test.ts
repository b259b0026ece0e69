import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/engine/local/graph/graph.js';
import { isStandIn, NO_SIZES, Sizes, STAND_IN } from '../../src/engine/local/graph/sizes.js';
import { layerSizes } from '../../src/engine/local/llama/layer-graph.js';
import { CompiledGraph, loadOrt, tensorOf } from '../../src/engine/local/session.js';
import { parseModelConfig } from '../../src/model/index.js';
import { normals } from './support.js';

const { T, B } = STAND_IN;
const sizes = (t: number, b: number): Sizes =>
  new Sizes([
    [T, t],
    [B, b],
    [T * B, t * b],
  ]);

describe('sizes that a run chooses', () => {
  it('one compiled graph takes any: rows after the first two, heads apart and turned', async () => {
    const g = new Graph();
    const x = g.input('x', 'float32', [T * B, 6]);
    const heads = g.reshape(g.reshape(x, [T, B, 6]), [T, B, 2, 3]);
    g.output('heads', g.transpose(heads, [1, 2, 0, 3]));
    g.output('rest', g.reshape(g.rows(g.reshape(x, [T, B, 6]), 2, T), [(T - 2) * B, 6]));
    const graph = await CompiledGraph.compile(g, { threads: 1, outputs: 'in-place' });
    const ort = await loadOrt();
    for (const [t, b] of [
      [3, 5],
      [7, 2],
      [4, 4],
    ] as const) {
      const data = normals(1, 'x', [t * b, 6]);
      const [turned, rest] = [tensorOf(ort, 'float32', [b, 2, t, 3]), tensorOf(ort, 'float32', [(t - 2) * b, 6])];
      const chosen = new Sizes([
        [T, t],
        [B, b],
        [T * B, t * b],
        [T - 2, t - 2],
        [(T - 2) * B, (t - 2) * b],
      ]);
      await graph.run({ x: tensorOf(ort, 'float32', [t * b, 6], data) }, { heads: turned, rest }, chosen);
      const at = (row: number, head: number, time: number, j: number) => data[(time * b + row) * 6 + head * 3 + j];
      (turned.data as Float32Array).forEach((value, i) =>
        expect(value).toBe(at(Math.floor(i / (6 * t)), Math.floor(i / (3 * t)) % 2, Math.floor(i / 3) % t, i % 3)),
      );
      expect(rest.data).toEqual(data.slice(2 * b * 6));
    }
    await graph.release();
  });

  it('are recognised in sums and products, and refused where the run gives none', () => {
    for (const dim of [T, B, T * B, T + STAND_IN.past, T * 9, T / 8, T * B * 64]) expect(isStandIn(dim)).toBe(true);
    expect(isStandIn(10_007)).toBe(false);
    expect(sizes(3, 5).shape([T * B, 64, T])).toEqual([15, 64, 3]);
    expect(() => sizes(3, 5).shape([STAND_IN.past])).toThrow('no run gives a size');
    expect(() => NO_SIZES.shape([T])).toThrow('no run gives a size');
    expect(() => new Sizes([...([[T, 3]] as const), [T, 4]])).toThrow('stands for 3 and 4');
  });

  it('of a layer agree with its shape, for every way to cut queries and group heads', () => {
    for (const [heads, kvHeads] of [
      [4, 4],
      [9, 3],
      [64, 8],
    ] as const)
      for (const blocks of [1, 2, 4, 8]) {
        const config = parseModelConfig(
          {
            ...{ model_type: 'llama', vocab_size: 32, hidden_size: 64 * heads, num_hidden_layers: 1, eos_token_id: 1 },
            ...{ num_attention_heads: heads, num_key_value_heads: kvHeads, intermediate_size: 48, hidden_act: 'silu' },
            ...{ rms_norm_eps: 1e-5, max_position_embeddings: 64 },
          },
          'test',
        );
        const shape = { T: 16, B: 5, past: 3 };
        const found = layerSizes(config, shape, { blocks, past: true, ragged: false, shared: false });
        const group = heads / kvHeads;
        expect(
          found.shape([T * B, T * group, STAND_IN.past + T / blocks, (T / blocks) * group, T * B * heads]),
        ).toEqual([80, 16 * group, 3 + 16 / blocks, (16 / blocks) * group, 80 * heads]);
      }
  });
});
