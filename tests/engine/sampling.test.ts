import { describe, expect, it } from 'vitest';
import { createLocalEngine } from '../../src/engine/local/index.js';
import type { SampleParams } from '../../src/engine/types.js';

const config = {
  ...{ model_type: 'llama', vocab_size: 8, hidden_size: 32, intermediate_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1, rms_norm_eps: 1e-5, max_position_embeddings: 32 },
  ...{ rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu', eos_token_id: 1 },
};

describe('sampling from weights that give no probabilities', () => {
  const params: SampleParams = { n: 1, maxTokens: 4, temperature: 1, seed: 1 };

  it.each([
    ['greedily', { ...params, temperature: 0 }],
    ['freely', params],
    ['under a filter', { ...params, topP: 0.9 }],
  ])('%s is an error, not a token', async (_, how) => {
    const engine = await createLocalEngine({ inline: true, threads: 1 });
    const source = { kind: 'random', config, seed: 1, initStd: NaN } as const;
    const model = await engine.openModel({ source });
    const sampler = await model.liveSampler();
    await expect(sampler.sample(Int32Array.of(2, 3), how)).rejects.toMatchObject({ kind: 'numeric' });
    await model.dispose();
    await engine.close();
  });
});

describe('the context of a model', () => {
  it('is not stretched beyond the one it was made for', async () => {
    const engine = await createLocalEngine({ inline: true, threads: 1 });
    const opened = engine.openModel({ source: { kind: 'random', config, seed: 1 }, maxContext: 33 });
    await expect(opened).rejects.toMatchObject({ kind: 'usage', where: 'maxContext' });
    await engine.close();
  });
});
