import { describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/local/kv-cache.js';
import { Parameters } from '../../src/engine/local/parameters.js';
import { ModelRunner } from '../../src/engine/local/runner.js';
import { parseModelConfig } from '../../src/model/index.js';
import { normals } from './support.js';

const V = 40;
const CONFIG = parseModelConfig(
  {
    ...{ model_type: 'llama', vocab_size: V, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4 },
    ...{ num_key_value_heads: 2, intermediate_size: 48, rms_norm_eps: 1e-5, max_position_embeddings: 64 },
    ...{ tie_word_embeddings: false, hidden_act: 'silu', eos_token_id: 1 },
  },
  'test',
);
const TEXTS = [3, 9, 5, 1, 7].map((length, i) => Int32Array.from({ length }, (_, t) => (i * 5 + t * 3) % V));

/** Distributions after the texts, and after each of them with one more token, for so many of the rows. */
async function distributions(runner: ModelRunner, counts: readonly number[]): Promise<Float32Array[]> {
  const cache = new KvCache(CONFIG, 8 * 32);
  cache.resize(32, 0);
  runner.forgetViews();
  const read = await runner.read(
    cache,
    0,
    TEXTS,
    16,
    TEXTS.map(() => 1),
  );
  const found = [read.logprobs.slice()];
  for (const count of counts) {
    const rows = TEXTS.slice(0, count).map(({ length }, i) => ({ newest: 2 + i, cached: length, temperature: 0.7 }));
    const { logprobs, probabilities } = await runner.step(cache, rows);
    expect([logprobs.length, probabilities.length]).toEqual([count * V, count * V]);
    found.push(logprobs.slice(), probabilities.slice());
  }
  return found;
}

const close = (a: readonly Float32Array[], b: readonly Float32Array[]): number =>
  Math.max(...a.flatMap((row, i) => [...row].map((value, j) => Math.abs(value - (b[i]?.[j] as number)))));

describe('steps of the sampler', () => {
  it('are the same with weights as constants of the graph and as its inputs, and follow new weights', async () => {
    const parameters = await Parameters.random(CONFIG, 1, 0.3);
    const options = { threads: 1, outputs: 'in-place' } as const;
    const [constants, inputs] = [new ModelRunner(parameters, options), new ModelRunner(parameters, options, 0)];
    const before = await distributions(constants, [5, 3]);
    expect(close(before, await distributions(inputs, [5, 3]))).toBeLessThan(1e-5);
    const name = 'model.layers.0.mlp.up_proj.weight';
    parameters.set(
      new Map([...parameters.arrays].map(([n, data]) => [n, n === name ? normals(5, n, [data.length]) : data])),
    );
    const after = await distributions(constants, [5, 3]);
    expect(close(after, before)).toBeGreaterThan(1e-2);
    expect(close(after, await distributions(inputs, [5, 3]))).toBeLessThan(1e-5);
    await Promise.all([constants.dispose(), inputs.dispose()]);
  });

  it('of some rows equal those of all of them', async () => {
    const parameters = await Parameters.random(CONFIG, 2, 0.3);
    const runner = new ModelRunner(parameters, { threads: 1, outputs: 'in-place' });
    const [, all] = (await distributions(runner, [5])) as [Float32Array, Float32Array];
    for (const count of [1, 2, 3, 4]) {
      const [, some] = (await distributions(runner, [count])) as [Float32Array, Float32Array];
      expect(close([some], [all.slice(0, count * V)])).toBeLessThan(1e-5);
    }
    await runner.dispose();
  });
});
