import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clippedSurrogate, groupAdvantages, tokenWeights } from '../../src/rl/index.js';
import { maxAbsDifference } from '../support/contract-tools.js';
import { adamwTensor } from '../support/reference-adamw.js';

const rows = z.array(z.array(z.number()));
const golden = z
  .object({
    advantages: z.array(
      z.object({ rewards: z.array(z.number()), sample: z.array(z.number()), none: z.array(z.number()) }),
    ),
    surrogates: z.array(
      z.object({
        options: z.object({
          clipLow: z.number(),
          clipHigh: z.number(),
          dualClip: z.number().nullable(),
          entropyBonus: z.number(),
        }),
        logprobs: rows,
        entropy: rows,
        oldLogprobs: rows,
        advantages: rows,
        loss: z.number(),
        dLogprobs: rows,
        dEntropy: rows,
      }),
    ),
    adamw: z.object({
      start: z.array(z.number()),
      steps: z.array(z.object({ gradient: z.array(z.number()), weight: z.array(z.number()) })),
    }),
  })
  .parse(JSON.parse(await readFile(new URL('../golden/rl.json', import.meta.url), 'utf8')));

describe('golden numbers from PyTorch (verify/peers/make_rl_golden.py)', () => {
  it.each(golden.advantages)('advantages of $rewards', ({ rewards, sample, none }) => {
    expect(maxAbsDifference(groupAdvantages(rewards, { std: 'sample', eps: 1e-6 }), sample)).toBeLessThan(1e-12);
    expect(maxAbsDifference(groupAdvantages(rewards, { std: 'none', eps: 1e-6 }), none)).toBeLessThan(1e-12);
  });

  it.each(golden.surrogates)('surrogate with $options', (expected) => {
    const lengths = expected.logprobs.map((row) => row.length);
    const weights_S = tokenWeights('token-mean', lengths, 1);
    const data = lengths.map((T, i) => ({
      input: new Int32Array(T),
      target: new Int32Array(T),
      vectors: {
        weight: new Float32Array(T).fill(weights_S[i]!),
        advantage: Float32Array.from(expected.advantages[i]!),
        oldLogprob: Float32Array.from(expected.oldLogprobs[i]!),
      },
    }));
    const logprobs = expected.logprobs.map((row) => Float32Array.from(row));
    const entropy = expected.entropy.map((row) => Float32Array.from(row));
    const result = clippedSurrogate(expected.options).fn({ logprobs, entropy }, data);
    expect(result.lossSum).toBeCloseTo(expected.loss, 5);
    expected.dLogprobs.forEach((row, i) => {
      expect(maxAbsDifference(result.dLogprobs![i]!, row)).toBeLessThan(1e-6);
      expect(row.some((d) => d === 0)).toBe(true);
    });
    if (expected.options.entropyBonus > 0)
      expected.dEntropy.forEach((row, i) => expect(maxAbsDifference(result.dEntropy![i]!, row)).toBeLessThan(1e-7));
    if (expected.options.dualClip !== null)
      expect(result.metrics['clip.dual']).toMatchObject({ sum: expect.toSatisfy((n: number) => n > 0) });
  });

  it('the AdamW that engines are compared with', () => {
    const { start, steps } = golden.adamw;
    const weights = Float64Array.from(start);
    const moments = { m: new Float64Array(start.length), v: new Float64Array(start.length) };
    const options = { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, gradClipNorm: Infinity };
    steps.forEach(({ gradient, weight }, i) => {
      adamwTensor(weights, gradient, moments, options, i + 1, 1, true);
      expect(maxAbsDifference(weights, weight)).toBeLessThan(1e-12);
    });
  });
});
