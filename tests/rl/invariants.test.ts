import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Loss } from '../../src/engine/types.js';
import {
  AGGREGATIONS,
  SURROGATES,
  clippedSurrogate,
  decoupledGae,
  groupAdvantages,
  leaveOneOut,
  lengthAdaptiveLambda,
  monteCarloReturns,
  nllWeights,
  policyLoss,
  spread,
  tokenWeights,
  truncatedImportanceWeights,
  type PolicyLossOptions,
} from '../../src/rl/index.js';
import {
  column,
  datums,
  groups,
  lengthsOf,
  maskOf,
  outputs,
  responses,
  type RaggedResponse,
} from '../support/ragged.js';

const RUNS = { seed: 20250408, numRuns: 100 };
const DAPO = { surrogate: 'clip', clipLow: 0.2, clipHigh: 0.28, dualClip: 10 } as const;
const PLAIN = { importanceWeights: false, entropyBonus: 0, kl: null, positiveNll: 0 } as const;

/** One response's derivatives, on all its tokens. */
type Gradient = { dLogprobs: number[]; dEntropy: number[] };

function gradients(batch: readonly RaggedResponse[], data: ReturnType<typeof datums>, loss: Loss): Gradient[] {
  const { dLogprobs, dEntropy } = loss.fn(outputs(batch), data);
  return batch.map((_, s) => ({ dLogprobs: Array.from(dLogprobs![s]!), dEntropy: Array.from(dEntropy?.[s] ?? []) }));
}

function allVectors(batch: readonly RaggedResponse[], aggregation: (typeof AGGREGATIONS)[number]) {
  const lengths_S = lengthsOf(batch);
  const nll_S = nllWeights(
    lengths_S,
    batch.map(({ correct }) => correct),
  );
  return datums(batch, tokenWeights(aggregation, lengths_S, 8), {
    isWeight: (r) => truncatedImportanceWeights(column(r, 'oldLogprob'), column(r, 'samplerLogprob'), 1.3),
    nllWeight: (r, s) => spread(nll_S[s]!, maskOf(r)),
  });
}

describe('an update is one sum', () => {
  const everything = fc.constantFrom(...SURROGATES).map((surrogate): PolicyLossOptions => ({
    ...{ ...DAPO, surrogate, importanceWeights: true, entropyBonus: 0.05, positiveNll: 0.1 },
    kl: { estimator: 'k3', coefficient: 0.1 },
  }));

  it('whatever the split into calls and the order of responses', () => {
    fc.assert(
      fc.property(
        responses,
        everything,
        fc.constantFrom(...AGGREGATIONS),
        fc.nat(),
        (batch, options, aggregation, cut) => {
          const loss = policyLoss(options);
          const data = allVectors(batch, aggregation);
          const whole = gradients(batch, data, loss);
          const at = cut % (batch.length + 1);
          const parts = [
            [batch.slice(at), data.slice(at)],
            [batch.slice(0, at), data.slice(0, at)],
          ] as const;
          const split = parts.map(([b, d]) => gradients(b, d, loss));
          expect([...split[1]!, ...split[0]!]).toEqual(whole);
          const sum = parts.reduce((total, [b, d]) => total + loss.fn(outputs(b), d).lossSum, 0);
          expect(sum).toBeCloseTo(loss.fn(outputs(batch), data).lossSum, 9);
        },
      ),
      RUNS,
    );
  });

  it('whatever the padding', () => {
    fc.assert(
      fc.property(responses, everything, fc.integer({ min: 1, max: 4 }), (batch, options, more) => {
        const filler = { ...ZERO, model: false };
        const padded = batch.map((r) => ({
          ...r,
          tokens: [...r.tokens, ...Array.from({ length: more }, () => filler)],
        }));
        const loss = policyLoss(options);
        const long = gradients(padded, allVectors(padded, 'token-mean'), loss);
        gradients(batch, allVectors(batch, 'token-mean'), loss).forEach(({ dLogprobs, dEntropy }, s) => {
          const zeros = new Array<number>(more).fill(0);
          expect(long[s]).toEqual({ dLogprobs: [...dLogprobs, ...zeros], dEntropy: [...dEntropy, ...zeros] });
        });
      }),
      RUNS,
    );
  });

  const ZERO = {
    ...{ logprob: -1, oldLogprob: -9, refLogprob: -2, samplerLogprob: -3, entropy: 2, advantage: 5 },
    ...{ value: 1, oldValue: 2, return: 3, reward: 0 },
  };
});

describe('systems that fall together', () => {
  it('VAPO with lambda 1 and a zero critic is the Monte-Carlo form', () => {
    fc.assert(
      fc.property(responses, (batch) => {
        for (const response of batch) {
          const mask_T = maskOf(response);
          const input = { rewards_T: column(response, 'reward'), mask_T, gamma: 1 };
          // alpha l -> infinity gives lambda_policy = 1.
          const lambdaPolicy = lengthAdaptiveLambda(mask_T.length, Infinity);
          const zero = new Float32Array(mask_T.length);
          const { advantages_T, returns_T } = decoupledGae({
            ...input,
            values_T: zero,
            lambdaPolicy: 1,
            lambdaCritic: 1,
          });
          const G = monteCarloReturns(input);
          expect([...advantages_T]).toEqual([...G]);
          expect([...returns_T]).toEqual([...G]);
          if (mask_T.length > 0) expect(lambdaPolicy).toBe(1);
        }
      }),
      RUNS,
    );
  });

  it('DAPO with equal clips, no dual clip and sequence means is GRPO', () => {
    fc.assert(
      fc.property(responses, (batch) => {
        const A = groupAdvantages(
          batch.map(({ reward }) => reward),
          { std: 'sample', eps: 1e-6 },
        );
        const advantage = (r: RaggedResponse, s: number) => spread(A[s]!, maskOf(r));
        const lengths_S = lengthsOf(batch);
        const data = datums(batch, tokenWeights('sequence-mean-token-mean', lengths_S, 1), { advantage });
        const dapo = policyLoss({ ...DAPO, ...PLAIN, clipHigh: 0.2, dualClip: null }).fn(outputs(batch), data);
        // GRPO, arXiv 2402.03300 Eq. 3 without its KL: 1/G sum_i 1/|o_i| sum_t min(r A, clip(r, 0.8, 1.2) A).
        const present = batch.filter((_, s) => lengths_S[s]! > 0).length;
        let J = 0;
        batch.forEach((response, s) =>
          response.tokens.forEach(({ model, logprob, oldLogprob }) => {
            if (!model) return;
            const r = Math.exp(logprob - oldLogprob);
            J += Math.min(r * A[s]!, Math.min(1.2, Math.max(0.8, r)) * A[s]!) / lengths_S[s]! / present;
          }),
        );
        expect(dapo.lossSum).toBeCloseTo(-J, 6);
      }),
      RUNS,
    );
  });

  it("Dr. GRPO's gradient for one group does not depend on other groups' lengths, GRPO's and DAPO's do", () => {
    const [own, short, long] = [response(3), response(2), response(7)];
    const gradientOfOwn = (aggregation: (typeof AGGREGATIONS)[number], other: RaggedResponse) => {
      const batch = [own, other];
      const data = datums(batch, tokenWeights(aggregation, lengthsOf(batch), 16));
      return gradients(batch, data, policyLoss({ ...DAPO, ...PLAIN }))[0]!.dLogprobs;
    };
    expect(gradientOfOwn('constant', short)).toEqual(gradientOfOwn('constant', long));
    expect(gradientOfOwn('token-mean', short)).not.toEqual(gradientOfOwn('token-mean', long));
    fc.assert(
      fc.property(groups, groups, (others, changed) => {
        const count = Math.min(others.flat().length, changed.flat().length);
        const [a, b] = [others, changed].map((x) => [own, ...x.flat().slice(0, count)]) as [
          RaggedResponse[],
          RaggedResponse[],
        ];
        const weight = (batch: RaggedResponse[]) => tokenWeights('constant', lengthsOf(batch), 16)[0];
        expect(weight(a)).toBe(weight(b));
      }),
      RUNS,
    );
  });

  it("within a group, GRPO's token weight falls with the response's own length and Dr. GRPO's does not", () => {
    const lengths = [2, 8];
    const [shortWeight, longWeight] = tokenWeights('sequence-mean-token-mean', lengths, 16);
    expect(shortWeight! / longWeight!).toBe(4);
    const constant = tokenWeights('constant', lengths, 16);
    expect(constant[0]).toBe(constant[1]);
  });

  it('leave-one-out is G / (G - 1) times mean-only', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 2, maxLength: 16 }), (R) => {
        const G = R.length;
        const scaled = groupAdvantages(R, { std: 'none', eps: 0 }).map((a) => (a * G) / (G - 1));
        leaveOneOut(R).forEach((a, i) => expect(a).toBeCloseTo(scaled[i]!, 9));
      }),
      RUNS,
    );
  });

  it('on-policy, every surrogate but GSPO has the gradient -weight A, and GSPO its mean over the response', () => {
    fc.assert(
      fc.property(responses, fc.constantFrom(...SURROGATES), (batch, surrogate) => {
        const weights_S = tokenWeights('token-mean', lengthsOf(batch), 1);
        const old = { oldLogprob: (r: RaggedResponse) => column(r, 'logprob') };
        const options = { ...DAPO, ...PLAIN, surrogate };
        const actual = gradients(batch, datums(batch, weights_S, old), policyLoss(options));
        const atRatioOne = policyLoss(options, { ratioOne: true });
        expect(atRatioOne.linear).toBe(true);
        expect(gradients(batch, datums(batch, weights_S), atRatioOne)).toEqual(actual);
        batch.forEach((response, s) => {
          const plain = response.tokens.map(({ model, advantage }) => (model ? -weights_S[s]! * advantage : 0));
          const mean = plain.reduce((a, b) => a + b, 0) / Math.max(1, lengthsOf([response])[0]!);
          response.tokens.forEach(({ model }, t) => {
            const expected = surrogate === 'gspo' ? (model ? mean : 0) : plain[t]!;
            expect(actual[s]!.dLogprobs[t]).toBeCloseTo(expected, 6);
          });
        });
      }),
      RUNS,
    );
  });

  it('a linear loss has the same derivatives whatever the outputs are', () => {
    const linear = policyLoss(
      { ...DAPO, ...PLAIN, entropyBonus: 0.05, positiveNll: 0.1, kl: { estimator: 'k1', coefficient: 0.1 } },
      { ratioOne: true },
    );
    expect(linear.linear).toBe(true);
    expect(
      policyLoss({ ...DAPO, ...PLAIN, kl: { estimator: 'k2', coefficient: 0.1 } }, { ratioOne: true }).linear,
    ).toBe(false);
    expect(clippedSurrogate({ ...DAPO, entropyBonus: 0 }).linear).toBe(false);
    fc.assert(
      fc.property(responses, (batch) => {
        const data = allVectors(batch, 'token-mean');
        const zeros = batch.map(({ tokens }) => new Float32Array(tokens.length));
        const { dLogprobs, dEntropy } = linear.fn({ logprobs: zeros, entropy: zeros }, data);
        const real = linear.fn(outputs(batch), data);
        expect([real.dLogprobs, real.dEntropy]).toEqual([dLogprobs, dEntropy]);
      }),
      RUNS,
    );
  });

  function response(length: number): RaggedResponse {
    const token = {
      ...{ model: true, logprob: -1, oldLogprob: -1.1, refLogprob: -1, samplerLogprob: -1, entropy: 1, advantage: 1 },
      ...{ value: 0, oldValue: 0, return: 0, reward: 0 },
    };
    return { tokens: Array.from({ length }, () => token), reward: 1, correct: true };
  }
});
