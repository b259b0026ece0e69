import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import type { OpenModelOptions, Sample, SampleParams, SampleRequest } from '../../src/engine/index.js';
import {
  createLocalEngine,
  type LocalEngine,
  type LocalEngineOptions,
  type LocalModel,
  type LocalSampler,
} from '../../src/engine/local/index.js';
import { linearLoss, STEP } from '../support/contract-tools.js';

const CONFIG = {
  ...{ model_type: 'llama', vocab_size: 40, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, head_dim: 16, intermediate_size: 48, rms_norm_eps: 1e-5, max_position_embeddings: 512 },
  ...{ rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu', eos_token_id: 1 },
};
/** Keys and values of one position: 2 layers x 2 (keys, values) x 2 heads x 16 channels x 4 bytes. */
const POSITION = 2 * 2 * 2 * 16 * 4;
const BASE: SampleParams = { n: 1, maxTokens: 24, temperature: 1, seed: 3 };

const VARIANTS: Record<string, LocalEngineOptions> = {
  'one thread, in-place outputs': { threads: 1, outputs: 'in-place' },
  'two threads, plain outputs': { threads: 2, outputs: 'plain' },
};

function tokens(name: string, length: number, index = 0): Int32Array {
  const random = new RandomStream(8, 'sampling-cache', name, index);
  return Int32Array.from({ length }, () => random.nextInt(4, 39));
}

const joined = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));

/** Few-shot prompts: examples that all share, a second part that half of them share, and a question of their own. */
function fewShot(count: number, params: Partial<SampleParams> = {}): SampleRequest[] {
  const examples = tokens('examples', 200);
  return Array.from({ length: count }, (_, i) => ({
    promptTokens: joined(examples, tokens('part', i % 2 === 0 ? 150 : 0), tokens('question', 3 + ((i * 5) % 30), i)),
    params: { ...BASE, n: 2, seed: 50 + i, ...params },
  }));
}

const ids = (samples_PN: Sample[][]) => samples_PN.map((samples) => samples.map(({ tokens }) => [...tokens]));

/** Equal tokens and ends, logprobs equal up to rounding. */
function expectSame(a: Sample[][], b: Sample[][], tolerance = 2e-5): void {
  expect(ids(a)).toEqual(ids(b));
  const flat = b.flat();
  a.flat().forEach((sample, i) => {
    const other = flat[i] as Sample;
    expect(sample.stopReason).toBe(other.stopReason);
    for (const of of ['rawLogprobs', 'samplingLogprobs'] as const) {
      sample[of]?.forEach((logprob, t) => {
        expect(Math.abs(logprob - (other[of]?.[t] ?? NaN))).toBeLessThan(tolerance);
      });
    }
  });
}

for (const [name, options] of Object.entries(VARIANTS)) {
  describe(`the sampler's cache, ${name}`, () => {
    let engine: LocalEngine;
    beforeAll(async () => {
      engine = await createLocalEngine({ inline: true, ...options });
    });
    afterAll(() => engine.close());

    /** Calls with a fresh model, so that nothing is left from others. */
    async function fresh<T>(
      how: Partial<OpenModelOptions>,
      use: (sampler: LocalSampler, model: LocalModel) => Promise<T>,
    ): Promise<T> {
      const source = { kind: 'random', config: CONFIG, seed: 6, initStd: 0.3 } as const;
      const model = await engine.openModel({ source, samplingSlots: 8, ...how });
      const result = await use(await model.liveSampler(), model);
      await model.dispose();
      return result;
    }
    const sampled = (how: Partial<OpenModelOptions>, requests: readonly SampleRequest[]) =>
      fresh(how, async (sampler) => ({ samples: await sampler.sampleBatch(requests), ...(await sampler.stats()) }));

    it('reads what prompts share once, and gives what it gives without', async () => {
      const requests = fewShot(10);
      const together = await sampled({}, requests);
      const apart = await sampled({ sharePrefixes: false }, requests);
      expectSame(together.samples, apart.samples);
      const total = requests.reduce((sum, { promptTokens }) => sum + promptTokens.length, 0);
      expect(apart.tokensRead).toBe(total);
      // 350 shared tokens and at most 48 a question, each read in multiples of 16.
      expect(together.tokensRead).toBeLessThanOrEqual(350 + 10 * 64);
    });

    it('needs not read again what the call before has shared, and no bit changes', async () => {
      await fresh({}, async (sampler) => {
        const requests = fewShot(6);
        const first = await sampler.sampleBatch(requests);
        const once = (await sampler.stats()).tokensRead;
        // Something else in between, with prefixes of its own.
        await sampler.sampleBatch(fewShot(3).map((request) => ({ ...request, promptTokens: tokens('x', 100) })));
        const between = (await sampler.stats()).tokensRead;
        expect(await sampler.sampleBatch(requests)).toEqual(first);
        expect((await sampler.stats()).tokensRead - between).toBeLessThanOrEqual(once - 300);
      });
    });

    it('forgets what it read when the weights change', async () => {
      const after = async (warm: boolean) =>
        fresh({}, async (sampler, model) => {
          if (warm) await sampler.sampleBatch(fewShot(4));
          const data = [
            { input: tokens('in', 8), target: tokens('out', 8), vectors: { weight: new Float32Array(8).fill(1) } },
          ];
          await model.forwardBackward(data, linearLoss(-1, 0));
          await model.optimStep({ ...STEP, lr: 0.1 });
          return (await model.liveSampler()).sampleBatch(fewShot(4));
        });
      expect(await after(true)).toEqual(await after(false));
    });

    it('runs fewer at once in a small cache, sets back the youngest, and gives the same', async () => {
      const requests = Array.from({ length: 9 }, (_, i) => ({
        promptTokens: tokens('short', 4 + i, i),
        params: { ...BASE, n: 3, maxTokens: 150, stop: [], seed: 90 + i },
      }));
      const large = await sampled({}, requests);
      const cacheBytes = 700 * POSITION;
      const small = await sampled({ cacheBytes }, requests);
      expect(large.setBack).toBe(0);
      expect(small.setBack).toBeGreaterThan(0);
      expect(small.peakCacheBytes).toBeLessThanOrEqual(cacheBytes);
      expect(large.peakCacheBytes).toBeGreaterThan(cacheBytes);
      expectSame(small.samples, large.samples);
      expect((await sampled({ cacheBytes }, requests)).samples).toEqual(small.samples);
    });

    it('shares prefixes and sets back in one call', async () => {
      const requests = fewShot(16, { n: 1, maxTokens: 240, stop: [] }).filter((_, i) => i % 2 === 1);
      const cacheBytes = 1650 * POSITION;
      const small = await sampled({ cacheBytes }, requests);
      const plain = await sampled({ sharePrefixes: false }, requests);
      expect(small.setBack).toBeGreaterThan(0);
      expect(small.peakCacheBytes).toBeLessThanOrEqual(cacheBytes);
      expectSame(small.samples, plain.samples);
    });

    it('gives the same for any mixture of requests, slots and cache', { timeout: 60_000 }, async () => {
      const request = fc.record({
        shared: fc.constantFrom(0, 0, 80, 200),
        own: fc.integer({ min: 1, max: 40 }),
        n: fc.integer({ min: 1, max: 5 }),
        maxTokens: fc.integer({ min: 1, max: 60 }),
        temperature: fc.constantFrom(0, 0.7, 1),
        stop: fc.constantFrom([], undefined),
      });
      const mixture = fc.tuple(
        fc.array(request, { minLength: 2, maxLength: 6 }),
        fc.constantFrom(1, 3, 6),
        fc.integer({ min: 384, max: 1500 }),
        fc.boolean(),
      );
      await fresh({ samplingSlots: 64, sharePrefixes: false }, async (plain) => {
        const check = async (
          drawn: ({ shared: number; own: number } & Omit<SampleParams, 'seed'>)[],
          how: Partial<OpenModelOptions>,
        ): Promise<void> => {
          const requests = drawn.map(({ shared, own, ...params }, i) => ({
            promptTokens: joined(tokens('examples', shared), tokens('own', own, i)),
            params: { ...params, seed: i },
          }));
          await fresh(how, async (sampler) => {
            const samples = await sampler.sampleBatch(requests);
            expect((await sampler.stats()).peakCacheBytes).toBeLessThanOrEqual(how.cacheBytes as number);
            expectSame(samples, await plain.sampleBatch(requests));
            expect(await sampler.sampleBatch(requests)).toEqual(samples);
          });
        };
        const property = fc.asyncProperty(mixture, ([drawn, samplingSlots, positions, sharePrefixes]) =>
          check(drawn, { samplingSlots, cacheBytes: positions * POSITION, sharePrefixes }),
        );
        await fc.assert(property, { seed: 4, numRuns: 3 });
      });
    });

    it('runs one sequence at a time where no two fit', async () => {
      const requests = fewShot(3, { maxTokens: 40 });
      const tight = await sampled({ cacheBytes: 448 * POSITION }, requests);
      expectSame(tight.samples, (await sampled({}, requests)).samples);
      expect(tight.peakCacheBytes).toBeLessThanOrEqual(448 * POSITION);
    });

    it('refuses a sequence that cannot fit, with the numbers', async () => {
      const request = sampled({ cacheBytes: 100 * POSITION }, [{ promptTokens: tokens('p', 90), params: BASE }]);
      await expect(request).rejects.toMatchObject({
        kind: 'resource',
        where: 'cacheBytes',
        message: expect.stringMatching(/114 tokens|128 tokens/) as string,
      });
    });

    it('takes a first token that ends the reply without a slot of its own', async () => {
      const requests = fewShot(5, { n: 20, maxTokens: 1 });
      const few = await sampled({ samplingSlots: 2 }, requests);
      expectSame(few.samples, (await sampled({ samplingSlots: 128 }, requests)).samples);
      expect(few.samples.flat().every(({ tokens }) => tokens.length === 1)).toBe(true);
      // Samples that wait for a slot find their prompt where it was held.
      const total = requests.reduce((sum, { promptTokens }) => sum + promptTokens.length, 0);
      expect(few.tokensRead).toBeLessThan(total);
    });

    it('queues thousands of requests in bounded memory', async () => {
      const requests = Array.from({ length: 5000 }, (_, i) => ({
        promptTokens: tokens('queue', 2 + (i % 7), i % 50),
        params: { ...BASE, maxTokens: 3, seed: i },
      }));
      const seen: [number, number, number][] = [];
      await fresh({ samplingSlots: 64, cacheBytes: 64 * 32 * POSITION }, async (sampler) => {
        const samples = await sampler.sampleBatch(requests, { onProgress: (...counts) => seen.push(counts) });
        expect(samples).toHaveLength(5000);
        expect(seen).toHaveLength(5000);
        expect(seen.at(-1)?.slice(0, 2)).toEqual([5000, 5000]);
        const { peakCacheBytes } = await sampler.stats();
        expect(peakCacheBytes).toBeLessThanOrEqual(64 * 32 * POSITION);
        const alone = await sampler.sampleBatch([requests[4321] as SampleRequest]);
        expectSame(alone, [samples[4321] as Sample[]]);
        const controller = new AbortController();
        const cut = await sampler.sampleBatch(requests, {
          signal: controller.signal,
          onProgress: (done) => done === 500 && controller.abort(),
        });
        const whole = cut.flat().filter(({ stopReason }) => stopReason !== 'aborted').length;
        expect(cut.flat()).toHaveLength(5000);
        expect(whole).toBeGreaterThanOrEqual(500);
        expect(whole).toBeLessThan(1000);
      });
    });

    describe('continueFrom', () => {
      const system = tokens('system', 90);
      const question = tokens('question', 12);

      it('goes on from a prefix as the sampler does from the whole, reading only what is new', async () => {
        await fresh({}, async (sampler) => {
          const whole = await sampler.sample(joined(system, question), { ...BASE, n: 3 });
          const continuation = await sampler.continueFrom(system);
          const before = (await sampler.stats()).tokensRead;
          expectSame([await continuation.sample(question, { ...BASE, n: 3 })], [whole]);
          expect((await sampler.stats()).tokensRead - before).toBe(16);
          // Nothing more: the reply follows from the prefix itself.
          const bare = await continuation.sample(new Int32Array(), BASE);
          expectSame([bare], [await sampler.sample(system, BASE)]);
          await continuation.dispose();
          await expect(continuation.sample(question, BASE)).rejects.toMatchObject({ kind: 'usage' });
        });
      });

      it('reuses the cache of a reply that was kept', async () => {
        await fresh({}, async (sampler) => {
          const [sample] = await sampler.sample(system, { ...BASE, maxTokens: 60, stop: [] }, { keepCache: true });
          const before = (await sampler.stats()).tokensRead;
          const turn = joined(system, (sample as Sample).tokens, question);
          const continuation = await sampler.continueFrom(turn);
          // The reply's last token was never read, and a run takes a multiple of 16.
          expect((await sampler.stats()).tokensRead - before).toBe(16);
          expectSame([await continuation.sample(new Int32Array(), BASE)], [await sampler.sample(turn, BASE)]);
          await continuation.dispose();
        });
      });

      it('keeps the beginning of a reply that was cut', async () => {
        await fresh({}, async (sampler) => {
          const [sample] = await sampler.sample(system, { ...BASE, maxTokens: 60, stop: [] }, { keepCache: true });
          const before = (await sampler.stats()).tokensRead;
          const forced = joined(system, (sample as Sample).tokens.subarray(0, 30), question);
          const continuation = await sampler.continueFrom(forced);
          expect((await sampler.stats()).tokensRead - before).toBe(16);
          expectSame([await continuation.sample(new Int32Array(), BASE)], [await sampler.sample(forced, BASE)]);
          const short = joined(system, (sample as Sample).tokens.subarray(0, 5));
          const other = await sampler.continueFrom(short);
          expectSame([await other.sample(question, BASE)], [await sampler.sample(joined(short, question), BASE)]);
        });
      });

      it('serves many prompts, which may share more', async () => {
        await fresh({}, async (sampler) => {
          const continuation = await sampler.continueFrom(system);
          const requests = fewShot(6);
          const whole = requests.map((request) => ({ ...request, promptTokens: joined(system, request.promptTokens) }));
          expectSame(await continuation.sampleBatch(requests), await sampler.sampleBatch(whole));
        });
      });

      it('counts against the budget until it is disposed of', async () => {
        await fresh({ cacheBytes: 300 * POSITION }, async (sampler) => {
          const continuation = await sampler.continueFrom(tokens('long', 120));
          const request: SampleParams = { ...BASE, maxTokens: 90 };
          await expect(sampler.sample(tokens('p', 120), request)).rejects.toMatchObject({ kind: 'resource' });
          await continuation.dispose();
          expect(await sampler.sample(tokens('p', 120), request)).toHaveLength(1);
        });
      });

      it('lets kept replies go when the room is needed', async () => {
        await fresh({ cacheBytes: 300 * POSITION }, async (sampler) => {
          const params: SampleParams = { ...BASE, n: 6, maxTokens: 30, stop: [] };
          for (let i = 0; i < 4; i++) await sampler.sample(tokens('kept', 60, i), params, { keepCache: true });
          const long = tokens('long', 120);
          const continuation = await sampler.continueFrom(long);
          const next = await continuation.sample(question, BASE);
          expectSame(
            [next],
            await fresh({}, (other) => other.sampleBatch([{ promptTokens: joined(long, question), params: BASE }])),
          );
          expect((await sampler.stats()).peakCacheBytes).toBeLessThanOrEqual(300 * POSITION);
        });
      });

      it('ends with the weights it was read under, and with its sampler', async () => {
        await fresh({}, async (sampler, model) => {
          const snapshot = await model.snapshot();
          const kept = await snapshot.continueFrom(system);
          const live = await sampler.continueFrom(system);
          const before = await kept.sample(question, BASE);
          const data = [{ input: question, target: question, vectors: { weight: new Float32Array(12).fill(1) } }];
          await model.forwardBackward(data, linearLoss(-1, 0));
          await model.optimStep(STEP);
          await expect(live.sample(question, BASE)).rejects.toMatchObject({ kind: 'usage' });
          expect(await kept.sample(question, BASE)).toEqual(before);
          await snapshot.dispose();
          await expect(kept.sample(question, BASE)).rejects.toMatchObject({ kind: 'usage' });
        });
      });
    });
  });
}

describe('closing an engine in this thread', () => {
  it('disposes of everything and refuses later calls', async () => {
    const engine = await createLocalEngine({ inline: true, threads: 1 });
    const model = await engine.openModel({ source: { kind: 'random', config: CONFIG, seed: 1 } });
    const sampler = await model.liveSampler();
    const running = sampler.sample(tokens('p', 4), BASE);
    await new Promise((resolve) => setImmediate(resolve));
    await engine.close();
    expect(await running).toHaveLength(1);
    const calls = [
      () => sampler.sample(tokens('p', 4), BASE),
      () => model.forward([]),
      () => model.dispose(),
      () => engine.openModel({ source: { kind: 'random', config: CONFIG, seed: 1 } }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ kind: 'usage', message: /closed/ });
    await engine.close();
  });
});
