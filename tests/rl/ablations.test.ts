import { describe, expect, it } from 'vitest';
import type { Datum, Loss } from '../../src/engine/types.js';
import {
  decoupledGae,
  gae,
  groupAdvantages,
  klNormalisedRewards,
  leaveOneOut,
  lengthAdaptiveLambda,
  nllWeights,
  overlongFilter,
  penalised,
  policyLoss,
  softOverlongPunishment,
  tokenWeights,
  type PolicyLossOptions,
} from '../../src/rl/index.js';

/** For each switch of VAPO, DAPO and T1: exactly the tokens and weights that the paper says change, change. */

/** One token for each ratio and sign of the advantage, in a fixed order. */
const RATIOS = [0.5, 0.79, 0.81, 1, 1.1, 1.19, 1.21, 1.25, 1.279, 1.281, 1.5, 2.9, 3.1, 9.9, 10.1, 12];
const TOKENS = RATIOS.flatMap((ratio) => [
  { ratio, A: 1 },
  { ratio, A: -1 },
  { ratio, A: 0 },
]);

const BASE: PolicyLossOptions = {
  ...{ surrogate: 'clip', clipLow: 0.2, clipHigh: 0.2, dualClip: null, importanceWeights: false },
  ...{ entropyBonus: 0, kl: null, positiveNll: 0 },
};

function datum(more: Record<string, readonly number[]> = {}): Datum {
  const T = TOKENS.length;
  const vectors = {
    weight: new Array<number>(T).fill(1),
    advantage: TOKENS.map(({ A }) => A),
    oldLogprob: TOKENS.map(({ ratio }) => -1 - Math.log(ratio)),
    ...more,
  };
  const float32 = Object.entries(vectors).map(([name, values]) => [name, Float32Array.from(values)] as const);
  return { input: new Int32Array(T), target: new Int32Array(T), vectors: Object.fromEntries(float32) };
}

function run(loss: Loss, data: Datum) {
  const T = data.input.length;
  const logprobs = [new Float32Array(T).fill(-1)];
  return loss.fn({ logprobs, entropy: [Float32Array.from({ length: T }, (_, t) => t / 8)] }, [data]);
}

/** Indices of the tokens whose derivative by logprob differs between two sets of options. */
function changed(a: PolicyLossOptions, b: PolicyLossOptions, data = datum()): number[] {
  const [x, y] = [a, b].map((options) => run(policyLoss(options), data).dLogprobs![0]!);
  return TOKENS.flatMap((_, t) => (x![t] === y![t] ? [] : [t]));
}

const where = (predicate: (token: { ratio: number; A: number }) => boolean) =>
  TOKENS.flatMap((token, t) => (predicate(token) ? [t] : []));

describe('loss switches', () => {
  it('clip-higher: ratios in (1.2, 1.28] with a positive advantage', () => {
    const tokens = changed(BASE, { ...BASE, clipHigh: 0.28 });
    expect(tokens).toEqual(where(({ ratio, A }) => A > 0 && ratio > 1.2 && ratio <= 1.28));
    expect(tokens.length).toBe(3);
  });

  it('dual clip: ratios above c with a negative advantage', () => {
    for (const c of [3, 10]) {
      const tokens = changed(BASE, { ...BASE, dualClip: c });
      expect(tokens).toEqual(where(({ ratio, A }) => A < 0 && ratio > c));
      expect(tokens.length).toBeGreaterThan(0);
    }
  });

  it('CISPO: the tokens that the clip silenced, and those whose ratio is outside the bounds on the other side', () => {
    const tokens = changed(BASE, { ...BASE, surrogate: 'cispo' });
    expect(tokens).toEqual(where(({ ratio, A }) => A !== 0 && (ratio > 1.2 || ratio < 0.8)));
    const cispo = run(policyLoss({ ...BASE, surrogate: 'cispo' }), datum()).dLogprobs![0]!;
    expect(where(({ A }) => A !== 0).every((t) => cispo[t] !== 0)).toBe(true);
  });

  it('importance correction: tokens with an advantage whose weight is not 1', () => {
    const isWeight = TOKENS.map((_, t) => (t % 2 === 0 ? 1 : 0.5));
    const tokens = changed(BASE, { ...BASE, importanceWeights: true }, datum({ isWeight }));
    const live = run(policyLoss(BASE), datum()).dLogprobs![0]!;
    expect(tokens).toEqual(TOKENS.flatMap((_, t) => (t % 2 === 1 && live[t] !== 0 ? [t] : [])));
  });

  it("VAPO's imitation: tokens of right answers alone, each by -mu over their number", () => {
    const lengths = [2, 3, 4];
    const weights_S = nllWeights(lengths, [true, false, true]);
    expect([...weights_S]).toEqual([1 / 6, 0, 1 / 6]);
    expect([...nllWeights(lengths, [false, false, false])]).toEqual([0, 0, 0]);
    const right = 12;
    const nllWeight = TOKENS.map((_, t) => (t < right ? 1 / right : 0));
    const data = datum({ nllWeight });
    expect(changed(BASE, { ...BASE, positiveNll: 0.1 }, data)).toEqual(Array.from({ length: right }, (_, t) => t));
    const [on, off] = [0.1, 0].map((mu) => run(policyLoss({ ...BASE, positiveNll: mu }), data).dLogprobs![0]!);
    for (let t = 0; t < right; t++) expect(on![t]! - off![t]!).toBeCloseTo(-0.1 / right, 6);
  });

  it("T1's entropy bonus: no logprob derivative changes, every token's entropy gets -alpha times its weight", () => {
    const bonus = { ...BASE, entropyBonus: 0.01 };
    expect(changed(BASE, bonus)).toEqual([]);
    expect(run(policyLoss(BASE), datum()).dEntropy).toBeUndefined();
    expect(run(policyLoss(bonus), datum()).dEntropy![0]!.every((d) => d === Math.fround(-0.01))).toBe(true);
  });

  it('KL in the loss: tokens where policy and reference differ (k2, k3), all tokens (k1)', () => {
    const refLogprob = TOKENS.map((_, t) => (t % 3 === 0 ? -1 : -1.5));
    const withKl = (estimator: 'k1' | 'k2' | 'k3') =>
      changed(BASE, { ...BASE, kl: { estimator, coefficient: 0.1 } }, datum({ refLogprob }));
    const differ = TOKENS.flatMap((_, t) => (t % 3 === 0 ? [] : [t]));
    expect(withKl('k2')).toEqual(differ);
    expect(withKl('k3')).toEqual(differ);
    expect(withKl('k1')).toEqual(TOKENS.map((_, t) => t));
  });

  it('a switched-off term reads no vector', () => {
    const vectors = { ...datum().vectors };
    expect(() => run(policyLoss(BASE), { ...datum(), vectors })).not.toThrow();
    for (const on of [
      { positiveNll: 0.1 },
      { importanceWeights: true },
      { kl: { estimator: 'k1', coefficient: 1 } as const },
    ])
      expect(() => run(policyLoss({ ...BASE, ...on }), { ...datum(), vectors })).toThrow(
        /nllWeight|isWeight|refLogprob/,
      );
  });

  it('clip metrics count the bounds that acted, with the mean probability of the tokens they silenced', () => {
    const { metrics } = run(policyLoss({ ...BASE, clipHigh: 0.28, dualClip: 3 }), datum());
    const count = TOKENS.length;
    const high = where(({ ratio, A }) => A > 0 && ratio > 1.28).length;
    const low = where(({ ratio, A }) => A < 0 && ratio < 0.8).length;
    expect(metrics['clip.high']).toEqual({ sum: high, count });
    expect(metrics['clip.low']).toEqual({ sum: low, count });
    expect(metrics['clip.dual']).toEqual({ sum: where(({ ratio, A }) => A < 0 && ratio > 3).length, count });
    expect(metrics['clip.high_prob']).toMatchObject({ count: high });
    expect((metrics['clip.high_prob'] as { sum: number }).sum / high).toBeCloseTo(Math.exp(-1), 12);
    expect((metrics['ratio.max'] as { max: number }).max).toBeCloseTo(12, 4);
  });
});

describe('weights and advantages', () => {
  const lengths = [2, 4, 10];

  it('token-level loss: long responses gain weight and short ones lose it, by |o_i| over the mean length', () => {
    const sequence = tokenWeights('sequence-mean-token-mean', lengths, 1);
    const token = tokenWeights('token-mean', lengths, 1);
    const mean = 16 / 3;
    lengths.forEach((length, i) => expect(token[i]! / sequence[i]!).toBeCloseTo(length / mean, 12));
  });

  it('overlong filter: truncated responses lose their weight, and the others share it', () => {
    const filtered = tokenWeights('token-mean', overlongFilter(lengths, [false, false, true]), 1);
    expect([...filtered]).toEqual([1 / 6, 1 / 6, 0]);
    const means = tokenWeights('sequence-mean-token-mean', overlongFilter(lengths, [false, false, true]), 1);
    expect([...means]).toEqual([1 / 4, 1 / 8, 0]);
  });

  it('soft overlong: rewards of responses beyond L_max - L_cache alone', () => {
    expect([8, 12, 13, 20, 21].map((length) => softOverlongPunishment(length, 20, 8))).toEqual([0, 0, -0.125, -1, -1]);
  });

  const trajectory = { rewards_T: [0, 0, 0, 1], values_T: [0.1, 0.4, 0.2, 0.6], mask_T: [1, 1, 1, 1], gamma: 1 };

  it('decoupled GAE: lambda_critic changes returns only, lambda_policy advantages only', () => {
    const at = (lambdaPolicy: number, lambdaCritic: number) =>
      decoupledGae({ ...trajectory, lambdaPolicy, lambdaCritic });
    const base = at(0.95, 0.95);
    expect(base).toEqual(gae({ ...trajectory, lambda: 0.95 }));
    const critic = at(0.95, 1);
    expect(critic.advantages_T).toEqual(base.advantages_T);
    expect(critic.returns_T.slice(0, -1).every((x, t) => x !== base.returns_T[t])).toBe(true);
    expect([...critic.returns_T].every((x) => Math.abs(x - 1) < 1e-12)).toBe(true);
    const policy = at(0.5, 0.95);
    expect(policy.returns_T).toEqual(base.returns_T);
    expect(policy.advantages_T.slice(0, -1).every((x, t) => x !== base.advantages_T[t])).toBe(true);
    // At the last token there is nothing to discount.
    expect(policy.advantages_T[3]).toBe(base.advantages_T[3]);
  });

  it('length-adaptive lambda: per response, 0 up to 1 / alpha tokens, then towards 1', () => {
    expect([0, 10, 20, 100, 400, 2000].map((l) => Number(lengthAdaptiveLambda(l, 0.05).toFixed(6)))).toEqual([
      0, 0, 0, 0.8, 0.95, 0.99,
    ]);
  });

  it('a response cut off is not bootstrapped unless a value is given', () => {
    const ended = gae({ ...trajectory, lambda: 1 });
    const bootstrapped = gae({ ...trajectory, lambda: 1, bootstrapValue: 0.5 });
    expect(bootstrapped.returns_T.map((x, t) => x - ended.returns_T[t]!)).toEqual(Float64Array.of(0.5, 0.5, 0.5, 0.5));
  });

  it('Dr. GRPO against GRPO: only the scale of the group changes', () => {
    const R = [1, 0, 0, 0];
    const [grpo, dr] = (['sample', 'none'] as const).map((std) => groupAdvantages(R, { std, eps: 0 }));
    expect(new Set(Array.from(grpo!, (a, i) => (a / dr![i]!).toFixed(9))).size).toBe(1);
    expect(grpo![0]! / dr![0]!).toBeCloseTo(2, 12);
  });

  it("T1's KL normalisation: rewards move by beta times the leave-one-out KL, and not at all for equal KL", () => {
    const R = [1, 0, 1];
    expect([...klNormalisedRewards(R, [2, 2, 2], 0.1)]).toEqual(R);
    const moved = klNormalisedRewards(R, [3, 0, 0], 0.1);
    [0.7, 0.15, 1.15].forEach((r, i) => expect(moved[i]).toBeCloseTo(r, 12));
    // The penalty pays no group as a whole.
    expect(leaveOneOut([3, 0, 0]).reduce((a, b) => a + b, 0)).toBeCloseTo(0, 12);
  });

  it("T1's penalty: responses with a pattern get -1 whatever their reward, others keep theirs", () => {
    const clean = { repetition: false, garbage: false, overlong: false };
    for (const reward of [1, 0]) {
      expect(penalised(reward, clean, -1)).toBe(reward);
      for (const name of ['repetition', 'garbage', 'overlong'] as const)
        expect(penalised(reward, { ...clean, [name]: true }, -1)).toBe(-1);
    }
  });
});
