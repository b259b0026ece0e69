import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datum, Engine, Loss, OpenModelOptions, SampleRequest, TrainableModel } from '../../src/engine/index.js';
import { divideRequests, divideSequences } from '../../src/engine/local/divide.js';
import { createLocalEngine, type LocalEngineOptions } from '../../src/engine/local/index.js';

const CONFIG = {
  ...{ model_type: 'llama', vocab_size: 32, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ num_key_value_heads: 1, intermediate_size: 48, rms_norm_eps: 1e-5, max_position_embeddings: 128 },
  ...{ rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu', eos_token_id: 1 },
};
const open = (engine: Engine, more: Partial<OpenModelOptions> = {}): Promise<TrainableModel> => {
  const source = { kind: 'random', config: CONFIG, seed: 4, initStd: 0.3 } as const;
  return engine.openModel({ source, tokensPerMicroBatch: 128, ...more });
};

const tokens = (count: number, from: number): Int32Array =>
  Int32Array.from({ length: count }, (_, t) => 2 + ((from * 7 + t * 5) % 30));
const DATA: Datum[] = Array.from({ length: 60 }, (_, i) => {
  const all = tokens(11 + ((i * 13) % 30), i);
  return { input: all.slice(0, -1), target: all.slice(1), vectors: {} };
});
/** Derivatives that depend on the outputs, so that both passes are asked for one by one. */
const curved: Loss = {
  name: 'square',
  needs: { entropy: true },
  fn: ({ logprobs, entropy }) => ({
    lossSum: logprobs.flatMap((row) => [...row]).reduce((sum, value) => sum + value * value, 0),
    dLogprobs: logprobs.map((row) => row.map((value) => 2 * value)),
    dEntropy: (entropy ?? []).map((row) => row.map(() => 0.1)),
    metrics: { rows: { sum: logprobs.length, count: 1 } },
  }),
};
const linear: Loss = {
  name: 'imitate',
  needs: {},
  linear: true,
  fn: ({ logprobs }) => ({ lossSum: 0, dLogprobs: logprobs.map((row) => row.map(() => -0.1)), metrics: {} }),
};
const values: Loss = {
  name: 'values',
  needs: { values: true },
  fn: (out) => ({
    lossSum: 0,
    dValues: (out.values ?? []).map((row) => row.map((value) => value - 1)),
    metrics: {},
  }),
};
const STEP = { lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };
const REQUESTS: SampleRequest[] = Array.from({ length: 12 }, (_, i) => ({
  promptTokens: tokens(3 + (i % 4), i),
  params: { n: 4, maxTokens: 12, temperature: 1, seed: i },
}));

/** The largest difference of any gradient, over the largest entry of its tensor. */
async function worstGradient(mine: TrainableModel, its: TrainableModel): Promise<number> {
  const expected = await its.tensors('gradients');
  const found = await mine.tensors('gradients');
  expect([...found.keys()]).toEqual([...expected.keys()]);
  return [...found].reduce((worst, [name, { data }]) => {
    const other = expected.get(name)?.data as Float32Array;
    return Math.max(worst, close(data, other) / Math.max(...other.map(Math.abs), 1e-20));
  }, 0);
}

const close = (a: Float32Array, b: Float32Array): number =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] as number))), a.length === b.length ? 0 : NaN);

describe('a small model as two copies', () => {
  const engines: Engine[] = [];
  const make = async (options: LocalEngineOptions): Promise<TrainableModel> => {
    const engine = await createLocalEngine({ inline: true, threads: 1, ...options });
    engines.push(engine);
    return open(engine);
  };
  let two: TrainableModel;
  let one: TrainableModel;
  beforeAll(async () => {
    [two, one] = [await make({ replicas: 2 }), await make({})];
  });
  afterAll(() => Promise.all(engines.map((engine) => engine.close())));

  it('is given work that divides', () => {
    expect(divideSequences(DATA, { alone: 128, beside: 128 }, 2)).toHaveLength(2);
    expect(divideRequests(REQUESTS, 2, { positions: 1e6, maxContext: 128 })).toHaveLength(2);
  });

  it.each([
    ['a linear', linear],
    ['any other', curved],
  ])('has the outputs and gradients of one, up to rounding, with %s loss', async (_, loss) => {
    const [mine, its] = [await two.forwardBackward(DATA, loss), await one.forwardBackward(DATA, loss)];
    expect(mine.lossSum).toBeCloseTo(its.lossSum, 2);
    // Counted once a micro-batch, of which copies may have others.
    if (loss === curved)
      for (const { metrics } of [mine, its]) expect(metrics).toMatchObject({ rows: { sum: DATA.length } });
    mine.outputs.logprobs.forEach((row, i) =>
      expect(close(row, its.outputs.logprobs[i] as Float32Array)).toBeLessThan(1e-5),
    );
    expect(await worstGradient(two, one)).toBeLessThan(1e-4);
    await two.zeroGrad();
    await one.zeroGrad();
  });

  const adapter = { kind: 'random', rank: 2, alpha: 4, seed: 1 } as const;
  it.each([
    ['an adapter', { adapter }, curved],
    ['a critic', { role: 'critic' }, values],
  ] as const)('trains %s as one does, over two updates', async (_, more, loss) => {
    const models = await Promise.all(engines.slice(0, 2).map((engine) => open(engine, more)));
    const [mine, its] = models as [TrainableModel, TrainableModel];
    for (const model of models) {
      await model.forwardBackward(DATA, loss);
      await model.optimStep(STEP);
      await model.forwardBackward(DATA, loss);
    }
    expect(await worstGradient(mine, its)).toBeLessThan(1e-3);
    for (const model of models) await model.dispose();
  });

  it('forgets the gradients of all copies', async () => {
    await two.forwardBackward(DATA, curved);
    await two.zeroGrad();
    for (const { data } of (await two.tensors('gradients')).values()) expect(data.every((x) => x === 0)).toBe(true);
  });

  it('samples with new weights after an update, tokens and logprobs as one does', async () => {
    for (const model of [two, one]) {
      await model.forwardBackward(DATA, linear);
      await model.optimStep(STEP);
    }
    const sample = async (model: TrainableModel) => (await model.liveSampler()).sampleBatch(REQUESTS);
    const [mine, its] = [await sample(two), await sample(one)];
    mine.forEach((samples, i) =>
      samples.forEach((found, k) => {
        const other = its[i]?.[k];
        expect(found.tokens).toEqual(other?.tokens);
        expect(found.weightsVersion).toBe(1);
        expect(close(found.rawLogprobs as Float32Array, other?.rawLogprobs as Float32Array)).toBeLessThan(1e-5);
      }),
    );
  });

  it('gives the same bits every time', async () => {
    const run = async (): Promise<unknown> => {
      const model = await make({ replicas: 3, threads: 3 });
      await model.forwardBackward(DATA, curved);
      const { gradNorm } = await model.optimStep(STEP);
      return { gradNorm, samples: await (await model.liveSampler()).sampleBatch(REQUESTS) };
    };
    expect(await run()).toEqual(await run());
  });

  it('tells tokens and progress of the whole call', async () => {
    const told = new Map<string, number[]>();
    const progress: number[][] = [];
    const samples = await (
      await two.liveSampler()
    ).sampleBatch(REQUESTS, {
      onToken: (request, sample, token) => {
        const key = `${request}:${sample}`;
        told.set(key, [...(told.get(key) ?? []), token]);
      },
      onProgress: (...line) => progress.push(line),
    });
    samples.forEach((row, i) => row.forEach((found, k) => expect(told.get(`${i}:${k}`)).toEqual([...found.tokens])));
    const drawn = samples.flat().reduce((sum, found) => sum + found.tokens.length, 0);
    expect(progress.at(-1)).toEqual([48, 48, drawn]);
  });

  it('keeps a snapshot as it was, and refuses a live sampler after an update and any after its end', async () => {
    const model = await make({ replicas: 2 });
    const [live, snapshot] = [await model.liveSampler(), await model.snapshot()];
    const before = await snapshot.sampleBatch(REQUESTS);
    await live.sampleBatch(REQUESTS);
    await model.forwardBackward(DATA, linear);
    await model.optimStep(STEP);
    expect(await snapshot.sampleBatch(REQUESTS)).toEqual(before);
    await expect(live.sampleBatch(REQUESTS)).rejects.toThrow('used after an update');
    await snapshot.dispose();
    await expect(snapshot.sampleBatch(REQUESTS)).rejects.toThrow('disposed');
    const last = await model.liveSampler();
    await model.dispose();
    await expect(last.sampleBatch(REQUESTS)).rejects.toThrow('disposed');
  });

  it('leaves no gradient behind when a loss throws in one of them', async () => {
    const model = await make({ replicas: 2 });
    let calls = 0;
    const failing: Loss = {
      ...curved,
      fn: (out, data) => {
        if (++calls === 2) throw new Error('no');
        return curved.fn(out, data);
      },
    };
    await expect(model.forwardBackward(DATA, failing)).rejects.toThrow('no');
    await model.zeroGrad();
    for (const { data } of (await model.tensors('gradients')).values()) expect(data.every((x) => x === 0)).toBe(true);
  });
});
