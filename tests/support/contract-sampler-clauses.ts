import { expect } from 'vitest';
import type { Sample, SampleParams, TrainableModel } from '../../src/engine/types.js';
import {
  STEP,
  distributionAfter,
  filtered,
  linearLoss,
  maxAbsDifference,
  prompts,
  randomData,
} from './contract-tools.js';
import type { Clause, ContractSubject } from './engine-contract.js';

const BASE: SampleParams = { n: 3, maxTokens: 6, temperature: 1, stop: [], seed: 5 };

/** Sampler logprobs and the trainer's on the same tokens, [tokens] each. */
async function trainerLogprobs(model: TrainableModel, prompt: Int32Array, sample: Sample, temperature: number) {
  const tokens = Int32Array.from([...prompt, ...sample.tokens]);
  const datum = { input: tokens.slice(0, -1), target: tokens.slice(1), vectors: {} };
  const { logprobs } = await model.forward([datum], { temperature });
  return logprobs[0]!.slice(prompt.length - 1);
}

function withPrefix(prompt: Int32Array, sample: Sample, t: number): Int32Array {
  return Int32Array.from([...prompt, ...sample.tokens.slice(0, t)]);
}

/** Index of the token that completes `string` first; -1: none. */
function completes(tokens: Int32Array, string: string, { tokenText }: ContractSubject): number {
  let text = '';
  return tokens.findIndex((id) => (text += tokenText(id)).includes(string));
}

export const SAMPLER_CLAUSES: Readonly<Record<string, Clause>> = {
  'greedy sampling follows the most likely token': async ({ openPolicy }) => {
    const model = await openPolicy(20);
    const sampler = await model.liveSampler();
    for (const prompt of prompts(model.info.vocabSize, 1, 2)) {
      const [sample] = await sampler.sample(prompt, { ...BASE, n: 1, temperature: 0 });
      expect(sample!.tokens).toHaveLength(BASE.maxTokens);
      for (const [t, token] of sample!.tokens.entries()) {
        const logp_V = await distributionAfter(model, withPrefix(prompt, sample!, t), 1);
        expect(logp_V[token]!).toBeGreaterThan(Math.max(...logp_V) - 1e-5);
        expect(sample!.rawLogprobs![t]).toBeCloseTo(logp_V[token]!, 4);
      }
      expect([...(sample!.samplingLogprobs ?? [])].every((logprob) => logprob === 0)).toBe(true);
    }
    await model.dispose();
  },

  'raw and sampling logprobs equal those of forward, over ragged prompts and temperatures': async ({ openPolicy }) => {
    const model = await openPolicy(21);
    const all = prompts(model.info.vocabSize, 2, 5);
    for (const temperature of [1, 0.7, 1.4]) {
      const sampler = await model.liveSampler();
      const requests = all.map((promptTokens, i) => ({ promptTokens, params: { ...BASE, temperature, seed: i } }));
      const samples_PG = await sampler.sampleBatch(requests);
      for (const [p, samples] of samples_PG.entries())
        for (const sample of samples) {
          const raw = await trainerLogprobs(model, all[p]!, sample, 1);
          const drawn = await trainerLogprobs(model, all[p]!, sample, temperature);
          expect(maxAbsDifference(sample.rawLogprobs!, raw)).toBeLessThan(1e-4);
          expect(maxAbsDifference(sample.samplingLogprobs!, drawn)).toBeLessThan(1e-4);
        }
      await model.forwardBackward(randomData(model.info.vocabSize, 30, 4), linearLoss(-1, 0));
      await model.optimStep(STEP);
    }
    await model.dispose();
  },

  'top-k, top-p and min-p cut the distribution after temperature and renormalise it': async ({
    openPolicy,
    engine,
  }) => {
    const model = await openPolicy(22);
    const sampler = await model.liveSampler();
    const [prompt] = prompts(model.info.vocabSize, 3, 1);
    const cuts = [{ topK: 3 }, { topP: 0.6 }, ...(engine.capabilities.minP ? [{ minP: 0.4 }] : [])];
    for (const cut of cuts) {
      const samples = await sampler.sample(prompt!, { ...BASE, ...cut, temperature: 0.8, maxTokens: 3 });
      for (const sample of samples)
        for (const [t, token] of sample.tokens.entries()) {
          const logp_V = filtered(await distributionAfter(model, withPrefix(prompt!, sample, t), 0.8), cut);
          expect(Math.abs(sample.samplingLogprobs![t]! - logp_V[token]!)).toBeLessThan(1e-3);
        }
    }
    await model.dispose();
  },

  'draws follow the distribution': async ({ openPolicy }) => {
    const model = await openPolicy(23);
    const sampler = await model.liveSampler();
    const [prompt] = prompts(model.info.vocabSize, 4, 1);
    const n = 1500;
    const samples = await sampler.sample(prompt!, { ...BASE, n, maxTokens: 1 });
    const counts = new Map<number, number>();
    for (const { tokens } of samples) counts.set(tokens[0]!, (counts.get(tokens[0]!) ?? 0) + 1);
    (await distributionAfter(model, prompt!, 1)).forEach((logp, v) => {
      const p = Math.exp(logp);
      const deviation = Math.abs((counts.get(v) ?? 0) - n * p) / Math.sqrt(n * p * (1 - p) + 1);
      expect(deviation).toBeLessThan(5);
    });
    await model.dispose();
  },

  'a sample is a function of prompt, seed and attempt, not of its neighbours': async ({ openPolicy }) => {
    const model = await openPolicy(24);
    const sampler = await model.liveSampler();
    const all = prompts(model.info.vocabSize, 5, 4);
    const request = (p: number, n: number) => ({ promptTokens: all[p]!, params: { ...BASE, n, seed: 40 + p } });
    const together = await sampler.sampleBatch([0, 1, 2, 3].map((p) => request(p, 3)));
    const reversed = await sampler.sampleBatch([3, 2, 1, 0].map((p) => request(p, 3)));
    for (const p of [0, 1, 2, 3]) {
      const [alone] = await sampler.sampleBatch([request(p, 2)]);
      const ids = (samples: Sample[] | undefined) => samples!.map(({ tokens }) => [...tokens]);
      expect(ids(reversed[3 - p])).toEqual(ids(together[p]));
      expect(ids(alone)).toEqual(ids(together[p]).slice(0, 2));
    }
    const texts = together.flat().map(({ tokens }) => tokens.join(' '));
    expect(new Set(texts).size).toBeGreaterThan(texts.length / 2);
    await model.dispose();
  },

  'sampling twice gives the same bits': async ({ openPolicy }) => {
    const model = await openPolicy(25);
    const sampler = await model.liveSampler();
    const requests = prompts(model.info.vocabSize, 6, 3).map((promptTokens) => ({ promptTokens, params: BASE }));
    expect(await sampler.sampleBatch(requests)).toEqual(await sampler.sampleBatch(requests));
    await model.dispose();
  },

  'the end token ends a sample and belongs to it; `stop: []` disables it': async ({ openPolicy, eosIds }) => {
    const model = await openPolicy(26);
    const sampler = await model.liveSampler();
    const [prompt] = prompts(model.info.vocabSize, 7, 1);
    const params = { ...BASE, n: 200, maxTokens: 8 };
    const free = await sampler.sample(prompt!, params);
    const ended = await sampler.sample(prompt!, { ...params, stop: undefined });
    expect(free.every(({ tokens, stopReason }) => tokens.length === 8 && stopReason === 'length')).toBe(true);
    expect(ended.some(({ stopReason }) => stopReason === 'eos')).toBe(true);
    ended.forEach(({ tokens, stopReason }, i) => {
      const at = free[i]!.tokens.findIndex((id) => eosIds.includes(id));
      expect([...tokens]).toEqual([...free[i]!.tokens.slice(0, at < 0 ? 8 : at + 1)]);
      expect(stopReason).toBe(at < 0 ? 'length' : 'eos');
    });
    await model.dispose();
  },

  'a stop string ends a sample with the token that completes it': async (subject) => {
    const { eosIds, tokenText } = subject;
    const model = await subject.openPolicy(27);
    const sampler = await model.liveSampler();
    const [prompt] = prompts(model.info.vocabSize, 8, 1);
    const params = { ...BASE, n: 40, maxTokens: 8 };
    const free = await sampler.sample(prompt!, params);
    const special = (id: number) => eosIds.includes(id) || tokenText(id) === '';
    const model3 = free.find(({ tokens }) => ![...tokens.slice(0, 4)].some(special))!;
    const stops = [tokenText(model3.tokens[2]!), tokenText(model3.tokens[2]!) + tokenText(model3.tokens[3]!)];
    for (const string of stops) {
      const stopped = await sampler.sample(prompt!, { ...params, stop: ['never in any text', string] });
      stopped.forEach(({ tokens, stopReason }, i) => {
        const whole = free[i]!.tokens;
        const ends = [
          { at: completes(whole, string, subject), reason: 'stop' },
          { at: whole.findIndex((id) => eosIds.includes(id)), reason: 'eos' },
        ].filter(({ at }) => at >= 0);
        const first = ends.sort((a, b) => a.at - b.at)[0] ?? { at: whole.length - 1, reason: 'length' };
        expect([...tokens]).toEqual([...whole.slice(0, first.at + 1)]);
        expect(stopReason).toBe(first.reason);
      });
      expect(stopped.some(({ stopReason }) => stopReason === 'stop')).toBe(true);
    }
    await model.dispose();
  },

  'a sample ends at maxTokens and at the end of the context': async ({ openPolicy }) => {
    const model = await openPolicy(28);
    const sampler = await model.liveSampler();
    const long = new Int32Array(sampler.maxContext - 2).fill(1);
    const samples = await sampler.sample(long, { ...BASE, maxTokens: 50 });
    for (const { tokens, stopReason } of samples) {
      expect(stopReason).toBe('length');
      expect(tokens.length + long.length).toBeLessThanOrEqual(sampler.maxContext + 1);
      expect(tokens.length).toBeGreaterThanOrEqual(1);
    }
    const [one] = await sampler.sample(long, { ...BASE, n: 1, maxTokens: 1 });
    expect(one).toMatchObject({ stopReason: 'length' });
    expect(one!.tokens).toHaveLength(1);
    await model.dispose();
  },

  'an abort resolves, and marks what it cut': async ({ openPolicy }) => {
    const model = await openPolicy(29);
    const sampler = await model.liveSampler();
    const requests = prompts(model.info.vocabSize, 9, 30).map((promptTokens) => ({ promptTokens, params: BASE }));
    const cut = await sampler.sampleBatch(requests, { signal: AbortSignal.abort() });
    expect(cut.flat()).toHaveLength(90);
    expect(cut.flat().every(({ stopReason }) => stopReason === 'aborted')).toBe(true);
    const whole = await sampler.sampleBatch(requests, { signal: new AbortController().signal });
    expect(whole.flat().every(({ stopReason }) => stopReason === 'length')).toBe(true);
    await model.dispose();
  },

  'progress counts finished samples and tokens': async ({ openPolicy }) => {
    const model = await openPolicy(30);
    const sampler = await model.liveSampler();
    const requests = prompts(model.info.vocabSize, 10, 4).map((promptTokens) => ({ promptTokens, params: BASE }));
    const seen: [number, number, number][] = [];
    const samples = await sampler.sampleBatch(requests, { onProgress: (...counts) => seen.push(counts) });
    const tokens = samples.flat().reduce((sum, sample) => sum + sample.tokens.length, 0);
    expect(seen.at(-1)).toEqual([12, 12, tokens]);
    expect(seen.every(([done], i) => i === 0 || done >= seen[i - 1]![0])).toBe(true);
    await model.dispose();
  },

  'tokens are told as they are drawn, and make up the samples': async ({ openPolicy }) => {
    const model = await openPolicy(33);
    const sampler = await model.liveSampler();
    const requests = prompts(model.info.vocabSize, 12, 5).map((promptTokens) => ({
      promptTokens,
      params: { ...BASE, stop: undefined },
    }));
    const told = requests.map(({ params }) => Array.from({ length: params.n }, (): number[] => []));
    const silent = await sampler.sampleBatch(requests);
    const samples = await sampler.sampleBatch(requests, { onToken: (r, s, token) => told[r]![s]!.push(token) });
    expect(samples).toEqual(silent);
    expect(told).toEqual(samples.map((group) => group.map(({ tokens }) => [...tokens])));
    await model.dispose();
  },

  'a snapshot keeps its weights; a live sampler ends with the next update': async ({ openPolicy }) => {
    const model = await openPolicy(31);
    const [prompt] = prompts(model.info.vocabSize, 11, 1);
    const [snapshot, live] = [await model.snapshot(), await model.liveSampler()];
    const before = await snapshot.sample(prompt!, BASE);
    expect(await live.sample(prompt!, BASE)).toEqual(before);
    const data = randomData(model.info.vocabSize, 31, 4);
    await model.forwardBackward(data, linearLoss(-1, 0));
    await model.optimStep({ ...STEP, lr: 0.3 });
    expect(await snapshot.sample(prompt!, BASE)).toEqual(before);
    await expect(live.sample(prompt!, BASE)).rejects.toThrow();
    const now = await model.liveSampler();
    const after = await now.sample(prompt!, BASE);
    expect(after.map(({ rawLogprobs }) => [...rawLogprobs!])).not.toEqual(
      before.map(({ rawLogprobs }) => [...rawLogprobs!]),
    );
    expect(after[0]!.weightsVersion).toBe(model.weightsVersion);
    expect(before[0]!.weightsVersion).toBe(model.weightsVersion - 1);
    await model.dispose();
    expect(await snapshot.sample(prompt!, BASE)).toEqual(before);
    await snapshot.dispose();
  },

  'a continuation gives what the sampler gives on the whole': async ({ openPolicy }) => {
    const model = await openPolicy(33);
    const sampler = await model.liveSampler();
    const [prefix, ...more] = prompts(model.info.vocabSize, 12, 4);
    const [reply] = await sampler.sample(prefix!, BASE, { keepCache: true });
    const turn = Int32Array.from([...prefix!, ...reply!.tokens]);
    const whole = (tokens: Int32Array) => Int32Array.from([...turn, ...tokens]);
    const continuation = await sampler.continueFrom(turn);
    expect([...continuation.prefix]).toEqual([...turn]);
    const requests = [new Int32Array(), ...more].map((promptTokens) => ({ promptTokens, params: BASE }));
    const given = await continuation.sampleBatch(requests);
    const expected = await sampler.sampleBatch(
      requests.map((request) => ({ ...request, promptTokens: whole(request.promptTokens) })),
    );
    const alone = await continuation.sample(more[0]!, BASE);
    for (const [samples, others] of [...given.map((samples, i) => [samples, expected[i]!]), [alone, expected[1]!]]) {
      expect(samples!.map(({ tokens }) => [...tokens])).toEqual(others!.map(({ tokens }) => [...tokens]));
      samples!.forEach(({ rawLogprobs }, i) =>
        expect(maxAbsDifference(rawLogprobs!, others![i]!.rawLogprobs!)).toBeLessThan(1e-4),
      );
    }
    await model.dispose();
  },

  'a continuation ends when it is disposed of, and with a live sampler at the next update': async ({ openPolicy }) => {
    const model = await openPolicy(34);
    const [prefix, more] = prompts(model.info.vocabSize, 13, 2);
    const [snapshot, live] = [await model.snapshot(), await model.liveSampler()];
    const [kept, disposed] = [await snapshot.continueFrom(prefix!), await snapshot.continueFrom(prefix!)];
    const ends = await live.continueFrom(prefix!);
    const before = await kept.sample(more!, BASE);
    await disposed.dispose();
    await expect(disposed.sample(more!, BASE)).rejects.toThrow();
    await model.forwardBackward(randomData(model.info.vocabSize, 34, 4), linearLoss(-1, 0));
    await model.optimStep({ ...STEP, lr: 0.3 });
    await expect(ends.sample(more!, BASE)).rejects.toThrow();
    expect(await kept.sample(more!, BASE)).toEqual(before);
    await kept.dispose();
    await snapshot.dispose();
    await model.dispose();
  },
};
