import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, Loss, TrainableModel } from '../../src/engine/index.js';
import { fromWire, toWire } from '../../src/engine/local/channel.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { HoneError } from '../../src/core/index.js';

/** The worker thread needs compiled code: `npm test` builds before it runs this. */
const built = new URL('../../dist/engine/local/index.js', import.meta.url).href;

const CONFIG = {
  ...{ model_type: 'llama', vocab_size: 32, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ num_key_value_heads: 2, intermediate_size: 48, rms_norm_eps: 1e-5, max_position_embeddings: 128 },
  ...{ rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu', eos_token_id: 1 },
};
const open = (engine: Engine): Promise<TrainableModel> =>
  engine.openModel({ source: { kind: 'random', config: CONFIG, seed: 4, initStd: 0.3 } });

const imitate: Loss = {
  name: 'imitate',
  needs: {},
  linear: true,
  fn: ({ logprobs }) => ({
    lossSum: -logprobs.flatMap((row) => [...row]).reduce((sum, value) => sum + value, 0),
    dLogprobs: logprobs.map((row) => row.map(() => -0.1)),
    metrics: {},
  }),
};
const data = [{ input: Int32Array.of(2, 3, 4), target: Int32Array.of(3, 4, 5), vectors: {} }];
const step = { lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };
const params = { n: 2, maxTokens: 20, temperature: 1, seed: 3 };

async function trajectory(engine: Engine, times = 1): Promise<unknown> {
  const model = await open(engine);
  await model.forwardBackward(new Array(times).fill(data).flat(), imitate);
  const { gradNorm } = await model.optimStep(step);
  const sampler = await model.liveSampler();
  const samples = await sampler.sample(Int32Array.of(2, 3), { ...params, n: 2 * times });
  await model.dispose();
  return { gradNorm, samples };
}

describe('the engine in a worker thread', () => {
  let engine: Engine;
  beforeAll(async () => {
    const module = (await import(built)) as { createLocalEngine: typeof createLocalEngine };
    engine = await module.createLocalEngine({ threads: 1 });
  });
  afterAll(() => engine.close());

  it('gives the bits of the engine in this thread', async () => {
    const inline = await createLocalEngine({ threads: 1, inline: true });
    expect(await trajectory(engine)).toEqual(await trajectory(inline));
    await inline.close();
  });

  it('gives the bits of copies in this thread with copies in theirs', async () => {
    const module = (await import(built)) as { createLocalEngine: typeof createLocalEngine };
    const apart = await module.createLocalEngine({ threads: 2 });
    const inline = await createLocalEngine({ threads: 2, replicas: 2, inline: true });
    expect(await trajectory(apart, 40)).toEqual(await trajectory(inline, 40));
    await apart.close();
    await inline.close();
  });

  it('aborts a long call while it runs', async () => {
    const model = await open(engine);
    const sampler = await model.liveSampler();
    const controller = new AbortController();
    const requests = Array.from({ length: 200 }, (_, i) => ({
      promptTokens: Int32Array.of(2, 3),
      params: { ...params, n: 8, maxTokens: 120, stop: [], seed: i },
    }));
    const samples = await sampler.sampleBatch(requests, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    const reasons = samples.flat().map(({ stopReason }) => stopReason);
    expect(reasons).toContain('aborted');
    expect(reasons).toHaveLength(1600);
    await model.dispose();
  });

  it('carries errors across with kind, place and way out', async () => {
    const failure = engine.openModel({ source: { kind: 'folder', path: '/nowhere' } });
    await expect(failure).rejects.toMatchObject({
      kind: 'input',
      where: expect.stringContaining('/nowhere') as string,
    });
    const error = new HoneError('numeric', 'is not finite', { where: 'optimizer.lr', hint: 'Lower it.' });
    expect(fromWire(toWire(error))).toMatchObject({ message: error.message, kind: 'numeric', hint: 'Lower it.' });
    expect(fromWire(toWire(new Error('plain')))).toMatchObject({ message: 'plain' });
  });

  it('refuses calls after it was closed', async () => {
    const module = (await import(built)) as { createLocalEngine: typeof createLocalEngine };
    const other = await module.createLocalEngine({ threads: 1 });
    await other.close();
    await expect(open(other)).rejects.toThrow('closed');
  });
});
