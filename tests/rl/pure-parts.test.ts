import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGGREGATIONS,
  baseReward,
  clippedSurrogate,
  clippedSurrogateToken,
  groupAdvantages,
  importanceSampling,
  isMixed,
  missingReason,
  missingRewardAccount,
  nextMove,
  ppoClip,
  softOverlongPunishment,
  surrogateAtRatioOne,
  tokenWeights,
} from '../../src/rl/index.js';
import type { Datum } from '../../src/engine/types.js';
import type { Verdict } from '../../src/tasks/types.js';

fc.configureGlobal({ seed: 20250314, numRuns: 300 });

const rewards = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 2, maxLength: 16 });
const sample = { std: 'sample', eps: 1e-6 } as const;
const none = { std: 'none', eps: 1e-6 } as const;
const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

describe('groupAdvantages', () => {
  it('sums to zero', () => {
    fc.assert(fc.property(rewards, (R) => Math.abs(sum(groupAdvantages(R, sample))) < 1e-7 * R.length));
  });

  it('does not change when all rewards shift, nor (without eps) when they scale', () => {
    fc.assert(
      fc.property(rewards, fc.double({ min: 0.5, max: 8, noNaN: true }), (R, scale) => {
        fc.pre(Math.max(...R) - Math.min(...R) > 0.01);
        const A = groupAdvantages(R, { std: 'sample', eps: 0 });
        const moved = groupAdvantages(
          R.map((r) => r * scale + 3),
          { std: 'sample', eps: 0 },
        );
        return A.every((a, i) => Math.abs(a - moved[i]!) < 1e-6);
      }),
    );
  });

  it('has standard deviation 1 (ddof 1) and keeps the order of rewards', () => {
    fc.assert(
      fc.property(rewards, (R) => {
        fc.pre(Math.max(...R) - Math.min(...R) > 0.01);
        const A = groupAdvantages(R, { std: 'sample', eps: 0 });
        const variance = sum(A.map((a) => a * a)) / (R.length - 1);
        return Math.abs(variance - 1) < 1e-9 && R.every((r, i) => R.every((s, j) => r >= s || A[i]! <= A[j]!));
      }),
    );
  });

  it('is exactly 0 for equal rewards, whatever they are', () => {
    fc.assert(
      fc.property(fc.double({ min: -2, max: 2, noNaN: true }), fc.integer({ min: 2, max: 16 }), (r, G) =>
        groupAdvantages(new Array<number>(G).fill(r), sample).every((a) => a === 0),
      ),
    );
  });

  it('a group of one has mean 0 and std 1, as in verl', () => {
    expect(groupAdvantages([0.7], sample)[0]).toBeCloseTo(0.7, 5);
    expect([...groupAdvantages([0.7], none)]).toEqual([0.7]);
  });

  it('without std is RLOO times (G-1)/G (Dr. GRPO, appendix A)', () => {
    fc.assert(
      fc.property(rewards, (R) => {
        const G = R.length;
        return groupAdvantages(R, none).every((a, i) => {
          const others = (sum(R) - R[i]!) / (G - 1);
          return Math.abs(a - ((G - 1) / G) * (R[i]! - others)) < 1e-12;
        });
      }),
    );
  });
});

describe('tokenWeights', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 });
  const total = (weights: Float64Array, L: number[]) => sum(L.map((length, i) => length * weights[i]!));

  it('token-mean: all tokens weigh the same and 1 together', () => {
    fc.assert(
      fc.property(lengths, (L) => {
        const weights = tokenWeights('token-mean', L, 1);
        return Math.abs(total(weights, L) - 1) < 1e-12 && weights.every((w) => w === weights[0]);
      }),
    );
  });

  it('sequence-mean-token-mean: all sequences weigh the same and 1 together', () => {
    fc.assert(
      fc.property(lengths, (L) => {
        const weights = tokenWeights('sequence-mean-token-mean', L, 1);
        return L.every((length, i) => Math.abs(length * weights[i]! - 1 / L.length) < 1e-12);
      }),
    );
  });

  it('constant is sequence-mean-token-sum over M; all agree on equal lengths M', () => {
    expect([...tokenWeights('sequence-mean-token-sum', [2, 6], 8)]).toEqual([0.5, 0.5]);
    expect([...tokenWeights('constant', [2, 6], 8)]).toEqual([1 / 16, 1 / 16]);
    for (const aggregation of AGGREGATIONS.filter((name) => name !== 'sequence-mean-token-sum'))
      expect(total(tokenWeights(aggregation, [8, 8, 8], 8), [8, 8, 8])).toBeCloseTo(1, 12);
  });
});

const bounds = { clipLow: 0.2, clipHigh: 0.28, dualClip: 3 };
const advantage = fc.double({ min: -3, max: 3, noNaN: true });
const logRatio = fc.double({ min: -2, max: 2, noNaN: true });

describe('clippedSurrogateToken', () => {
  it('is max(-rA, -clip(r)A), with the dual bound for negative advantages', () => {
    fc.assert(
      fc.property(advantage, logRatio, (A, x) => {
        const r = Math.exp(x);
        const clipped = Math.min(1.28, Math.max(0.8, r));
        const ppo = Math.max(-r * A, -clipped * A);
        const expected = A < 0 ? Math.min(ppo, -3 * A) : ppo;
        return Math.abs(clippedSurrogateToken(A, x, bounds).loss - expected) < 1e-12;
      }),
    );
  });

  it('has the derivative of its loss, away from the corners', () => {
    fc.assert(
      fc.property(advantage, logRatio, (A, x) => {
        const h = 1e-6;
        const corner = [Math.log(0.8), Math.log(1.28), Math.log(3)].some((c) => Math.abs(x - c) < 2 * h);
        fc.pre(!corner);
        const [up, down] = [clippedSurrogateToken(A, x + h, bounds), clippedSurrogateToken(A, x - h, bounds)];
        return Math.abs((up.loss - down.loss) / (2 * h) - clippedSurrogateToken(A, x, bounds).dLogprob) < 1e-6;
      }),
    );
  });

  it('gradient flows at the bound itself and stops beyond it', () => {
    const exact = { clipLow: 0.5, clipHigh: 1, dualClip: null };
    expect(clippedSurrogateToken(1, Math.log(2), exact)).toEqual({ loss: -2, dLogprob: -2, active: 'none' });
    expect(clippedSurrogateToken(1, Math.log(2) + 1e-9, exact)).toMatchObject({ dLogprob: 0, active: 'high' });
    expect(clippedSurrogateToken(-1, Math.log(0.5), exact)).toEqual({ loss: 0.5, dLogprob: 0.5, active: 'none' });
    expect(clippedSurrogateToken(-1, Math.log(0.5) - 1e-9, exact)).toMatchObject({ dLogprob: 0, active: 'low' });
    expect(clippedSurrogateToken(-2, Math.log(5), bounds)).toEqual({ loss: 6, dLogprob: 0, active: 'dual' });
  });

  it('stays finite where the ratio would overflow', () => {
    expect(clippedSurrogateToken(-1, 1000, { ...bounds, dualClip: null })).toMatchObject({
      loss: expect.closeTo(Math.exp(20), 0),
      dLogprob: 0,
    });
  });
});

function datum(advantages: number[], old: number[], weight: number[]): Datum {
  const T = old.length;
  return {
    input: new Int32Array(T),
    target: new Int32Array(T),
    vectors: {
      weight: Float32Array.from(weight),
      advantage: Float32Array.from(advantages),
      oldLogprob: Float32Array.from(old),
    },
  };
}

describe('losses over tokens', () => {
  const data = [datum([1, 1, 1, -1], [-1, -1, -1, -1], [0, 0.25, 0.25, 0.25])];
  const out = { logprobs: [Float32Array.of(5, -1, -0.5, -2)] };

  it('ignores tokens without weight, counts clips and the largest ratio', () => {
    const { metrics, dLogprobs } = clippedSurrogate({ ...bounds, entropyBonus: 0 }).fn(out, data);
    expect(metrics['clip.high']).toEqual({ sum: 1, count: 3 });
    expect(metrics['clip.low']).toEqual({ sum: 1, count: 3 });
    expect(metrics['ratio.max']).toEqual({ max: Math.exp(0.5) });
    expect([...dLogprobs![0]!]).toEqual([0, -0.25, 0, 0]);
  });

  it('PPO has one bound, importance sampling none', () => {
    expect([...ppoClip(0.8).fn(out, data).dLogprobs![0]!]).toEqual([
      0,
      -0.25,
      expect.closeTo(-0.25 * Math.exp(0.5), 6),
      expect.closeTo(0.25 * Math.exp(-1), 6),
    ]);
    const free = importanceSampling().fn(out, data);
    expect(free.lossSum).toBeCloseTo(0.25 * (-1 - Math.exp(0.5) + Math.exp(-1)), 6);
  });

  it('offers the server twin only when it means the same', () => {
    expect(ppoClip(0.2).remote).toEqual({ name: 'ppo', config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 } });
    expect(clippedSurrogate({ ...bounds, entropyBonus: 0 }).remote).toBeUndefined();
    expect(clippedSurrogate({ ...bounds, dualClip: null, entropyBonus: 0.1 }).remote).toBeUndefined();
  });

  it('at ratio one it equals the clipped surrogate, and its derivatives do not read the logprobs', () => {
    const onPolicy = [datum([1, 1, 1, -1], [...out.logprobs[0]!], [0, 0.25, 0.25, 0.25])];
    const clipped = clippedSurrogate({ ...bounds, entropyBonus: 0 }).fn(out, onPolicy);
    const linear = surrogateAtRatioOne(0);
    expect(linear.fn(out, data)).toEqual(clipped);
    expect(linear.fn({ logprobs: [new Float32Array(4)] }, data).dLogprobs).toEqual(clipped.dLogprobs);
  });

  it('names a vector that is missing', () => {
    const bare = [{ ...data[0]!, vectors: {} }];
    expect(() => clippedSurrogate({ ...bounds, entropyBonus: 0 }).fn(out, bare)).toThrow(/'weight'/);
  });
});

describe('softOverlongPunishment', () => {
  it('follows Eq. 13 of DAPO with its numbers', () => {
    const R = (length: number) => softOverlongPunishment(length, 20480, 4096);
    expect([0, 16384, 16385, 18432, 20480, 20481].map(R)).toEqual([0, 0, -1 / 4096, -0.5, -1, -1]);
  });

  it('never rises with length, stays in [-factor, 0], and a zone of 0 is a step', () => {
    const length = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(length, length, fc.integer({ min: 0, max: 200 }), (a, b, cache) => {
        const R = (x: number) => softOverlongPunishment(x, 200, cache, 2);
        return R(Math.max(a, b)) <= R(Math.min(a, b)) && R(a) <= 0 && R(a) >= -2;
      }),
    );
    expect([200, 201].map((x) => softOverlongPunishment(x, 200, 0))).toEqual([0, -1]);
  });
});

describe('rewards and their absence', () => {
  it('base reward lies between wrong and correct', () => {
    expect([0, 0.25, 1].map((score) => baseReward(score, { correct: 1, wrong: -1 }))).toEqual([-1, -0.5, 1]);
  });

  it('gives every sample one reason, infrastructure before response', () => {
    const wrong = { status: 'wrong', extracted: '4' } as const;
    expect(missingReason({ status: 'correct' }, 'length')).toBeUndefined();
    expect(missingReason(wrong, 'eos')).toBe('wrong');
    expect(missingReason(wrong, 'length')).toBe('truncated');
    expect(missingReason({ status: 'wrong' }, 'stop')).toBe('no_answer');
    expect(missingReason({ status: 'no_verdict', cause: 'gold' }, 'length')).toBe('no_verdict.gold');
    expect(missingReason({ status: 'no_verdict' }, 'eos')).toBe('no_verdict.grader');
    const account = missingRewardAccount([
      { verdict: wrong, stopReason: 'eos' },
      { verdict: { status: 'correct' }, stopReason: 'eos' },
      { verdict: { status: 'no_verdict', cause: 'response' }, stopReason: 'eos' },
    ]);
    expect(account).toEqual({
      'missing.no_verdict.gold': 0,
      'missing.no_verdict.grader': 0,
      'missing.no_verdict.response': 1,
      'missing.truncated': 0,
      'missing.no_answer': 0,
      'missing.wrong': 1,
    });
  });

  it.each<[string, Pick<Verdict, 'status' | 'extracted' | 'wellFormed'>[], object]>([
    ['never names an answer', [{ status: 'correct' }, { status: 'wrong' }], { 'missing.wrong': 2 }],
    [
      'never names one and refuses formats',
      [{ status: 'correct' }, { status: 'wrong', wellFormed: false }],
      { 'missing.wrong': 2 },
    ],
    ['says nothing else', [{ status: 'wrong' }], { 'missing.wrong': 2 }],
    [
      'finds no answer in any',
      [{ status: 'wrong', wellFormed: false }],
      { 'missing.wrong': 0, 'missing.no_answer': 2 },
    ],
    [
      'finds one in some',
      [{ status: 'correct', extracted: '4' }, { status: 'wrong' }],
      { 'missing.wrong': 0, 'missing.no_answer': 2 },
    ],
  ])('tells no answers from wrong ones where the grader does: %s', (_, verdicts, expected) => {
    const all = [...verdicts, verdicts.at(-1)!].map((verdict) => ({ verdict, stopReason: 'eos' as const }));
    const { 'missing.wrong': wrong, ...others } = missingRewardAccount(all);
    const found = 'missing.no_answer' in others ? { 'missing.no_answer': others['missing.no_answer'] } : {};
    expect({ 'missing.wrong': wrong, ...found }).toEqual(expected);
  });
});

describe('dynamic sampling', () => {
  it('keeps groups with 0 < accuracy < 1', () => {
    expect([0, 1, 3, 4].map((correct) => isMixed(correct, 4))).toEqual([false, true, true, false]);
  });

  it('generates until there are enough groups or batches; 0 batches is no limit', () => {
    const limits = { wanted: 8, maxBatches: 3 };
    expect(nextMove(7, 2, limits)).toBe('generate');
    expect(nextMove(7, 3, limits)).toBe('limit');
    expect(nextMove(8, 3, limits)).toBe('train');
    expect(nextMove(0, 1000, { ...limits, maxBatches: 0 })).toBe('generate');
  });
});
