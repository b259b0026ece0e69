import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_MOMENTS,
  klCoefficientAt,
  missingAnswerPenalty,
  normaliseReward,
  qsKeeps,
  rlspReward,
  rraReward,
  rrlReward,
  rsPair,
  runningMomentsSchema,
  updateMoments,
} from '../../src/rl/index.js';

const RUNS = { seed: 20250409, numRuns: 200 };

describe("RLSP's exploration reward", () => {
  const options = { missingAnswer: -0.5, lengthPenalty: 1000, weights: { outcome: 0.8, effort: 0.2 } };
  const answer = { answerFound: true, correct: true, length: 2000, effort: null };

  it('is correctness plus -P / L without a judge', () => {
    expect(rlspReward(answer, options)).toBe(0.5);
    expect(rlspReward({ ...answer, correct: false }, options)).toBe(-0.5);
    expect(rlspReward({ ...answer, correct: false, answerFound: false }, options)).toBe(-1);
    expect(rlspReward({ ...answer, length: 500 }, options)).toBe(-1);
    expect(missingAnswerPenalty(true, -0.5)).toBe(0);
  });

  it('weighs outcome and effort 0.8 to 0.2 with one, so that effort alone cannot outweigh being right', () => {
    expect(rlspReward({ ...answer, effort: 1 }, options)).toBeCloseTo(0.8 * 0.5 + 0.2, 12);
    const lazy = rlspReward({ ...answer, effort: 0 }, options);
    const busy = rlspReward({ ...answer, correct: false, effort: 1 }, options);
    expect(lazy).toBeGreaterThan(busy);
  });

  it('has no length term at P = 0 and stays finite for an empty response', () => {
    expect(rlspReward({ ...answer, length: 0 }, { ...options, lengthPenalty: 0 })).toBe(1);
    expect(rlspReward({ ...answer, length: 0 }, options)).toBe(-999);
  });
});

describe('running moments', () => {
  const values = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 2, maxLength: 40 });

  it('of batches are those of all values, whatever the cut, and survive a checkpoint', () => {
    fc.assert(
      fc.property(values, fc.nat(), (all, cut) => {
        const at = cut % all.length;
        const first = updateMoments(EMPTY_MOMENTS, all.slice(0, at));
        const stored = runningMomentsSchema.parse(JSON.parse(JSON.stringify(first)));
        const { count, mean, m2 } = updateMoments(stored, all.slice(at));
        const plainMean = all.reduce((a, b) => a + b, 0) / all.length;
        expect(count).toBe(all.length);
        expect(mean).toBeCloseTo(plainMean, 9);
        expect(m2 / 1e4).toBeCloseTo(all.reduce((a, x) => a + (x - plainMean) ** 2, 0) / 1e4, 6);
      }),
      RUNS,
    );
  });

  it('normalise to mean 0 and deviation 1, clipped', () => {
    const moments = updateMoments(EMPTY_MOMENTS, [1, 3, 5]);
    expect([1, 3, 5].map((x) => normaliseReward(x, moments, 10))).toEqual([-1, 0, 1]);
    expect([normaliseReward(1000, moments, 10), normaliseReward(-1000, moments, 10)]).toEqual([10, -10]);
  });

  it('only centre while there is no spread', () => {
    expect(normaliseReward(2, EMPTY_MOMENTS, 10)).toBe(2);
    expect(normaliseReward(2, updateMoments(EMPTY_MOMENTS, [2]), 10)).toBe(0);
    expect(normaliseReward(5, updateMoments(EMPTY_MOMENTS, [2, 2, 2]), 10)).toBe(3);
  });
});

describe("STILL-3's length rewards", () => {
  it('RRL and RRA add at most 1 to correctness', () => {
    expect(rrlReward(50, 100, -1)).toBe(-0.5);
    expect(rraReward(5, 20, 1)).toBe(1.25);
    expect(rraReward(400, 20, 1)).toBe(2);
  });

  it('QS keeps questions whose right answers are longer; both kinds must exist', () => {
    expect(qsKeeps([10, 4, 6], [true, false, false])).toBe(true);
    expect(qsKeeps([5, 4, 6], [true, false, false])).toBe(false);
    expect(qsKeeps([5, 4], [true, true])).toBe(false);
    expect(qsKeeps([5, 4], [false, false])).toBe(false);
  });

  it('RS takes the longest right and the shortest wrong answer when the first is longer', () => {
    expect(rsPair([3, 9, 4, 7], [true, true, false, false])).toEqual({ longestRight: 1, shortestWrong: 2 });
    expect(rsPair([3, 3, 3], [true, false, true])).toBeNull();
    expect(rsPair([3, 4], [true, true])).toBeNull();
    expect(rsPair([], [])).toBeNull();
  });
});

describe('the KL coefficient', () => {
  it('is 0, fixed, or falls by half a cosine and stays at its end', () => {
    expect(klCoefficientAt({ kind: 'off' }, 7)).toBe(0);
    expect(klCoefficientAt({ kind: 'fixed', coefficient: 0.05 }, 7)).toBe(0.05);
    const cosine = { kind: 'cosine', start: 1e-3, end: 0, iterations: 500 } as const;
    expect([0, 250, 500, 900].map((i) => Number(klCoefficientAt(cosine, i).toFixed(9)))).toEqual([1e-3, 5e-4, 0, 0]);
    expect(klCoefficientAt(cosine, 100)).toBeGreaterThan(klCoefficientAt(cosine, 150));
  });
});
