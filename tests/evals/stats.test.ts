import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import {
  averageAtK,
  majority,
  pairedBootstrap,
  pairedDifference,
  passAtK,
  studentT95,
  wilson,
} from '../../src/evals/index.js';

const RUNS = { seed: 11, numRuns: 200 };

describe('wilson', () => {
  it.each([
    // Published values: Newcombe 1998, table I, method 3.
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [20, 20, 0.8389, 1],
  ])('%d of %d', (successes, n, low, high) => {
    const [a, b] = wilson(successes, n);
    expect(a).toBeCloseTo(low, 4);
    expect(b).toBeCloseTo(high, 4);
  });

  it('refuses what is no proportion', () => {
    expect(() => wilson(3, 2)).toThrow(RangeError);
    expect(() => wilson(0, 0)).toThrow(RangeError);
    expect(() => wilson(NaN, 2)).toThrow(RangeError);
  });
});

describe('studentT95', () => {
  it.each([
    [1, 12.7062],
    [2, 4.3027],
    [4, 2.7764],
    [10, 2.2281],
    [30, 2.0423],
    [120, 1.9799],
  ])('%d degrees of freedom', (df, quantile) => {
    expect(Math.abs(studentT95(df) - quantile)).toBeLessThan(0.0015);
  });
});

describe('averageAtK', () => {
  it('is the Wilson interval with one sample a problem', () => {
    expect(averageAtK([1, 0, 0, 1, 1], 1)).toEqual({ value: 0.6, ci95: wilson(3, 5) });
  });

  it('takes samples that are alike within problems as one', () => {
    // 40 problems, each always right or always wrong: four samples tell no more than one does.
    const shares = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1 : 0));
    const [low, high] = averageAtK(shares, 4).ci95;
    const [lowOne, highOne] = wilson(20, 40);
    expect(high - low).toBeGreaterThanOrEqual(highOne - lowOne);
    expect(high - low).toBeLessThan(1.06 * (highOne - lowOne));
  });

  it('takes samples that are independent within problems for what they are worth', () => {
    const random = new RandomStream(1, 'shares');
    const shares = Array.from({ length: 400 }, () => [1, 2, 3, 4].filter(() => random.next() < 0.5).length / 4);
    const [low, high] = averageAtK(shares, 4).ci95;
    const [lowAll, highAll] = wilson(800, 1600);
    expect((high - low) / (highAll - lowAll)).toBeGreaterThan(0.9);
    expect((high - low) / (highAll - lowAll)).toBeLessThan(1.1);
  });

  it('has width where all problems agree', () => {
    expect(averageAtK(new Array<number>(50).fill(0), 4).ci95[0]).toBe(0);
    expect(averageAtK(new Array<number>(50).fill(0), 4).ci95[1]).toBeGreaterThan(0.05);
    expect(averageAtK(new Array<number>(50).fill(1), 4).ci95[0]).toBeLessThan(0.95);
  });

  it('stays within 0..1 and around its value', () => {
    const share = fc.integer({ min: 0, max: 4 }).map((c) => c / 4);
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 50 }), (shares) => {
        const { value, ci95 } = averageAtK(shares, 4);
        expect(ci95[0]).toBeGreaterThanOrEqual(0);
        expect(ci95[1]).toBeLessThanOrEqual(1);
        expect(ci95[0] <= value && value <= ci95[1]).toBe(true);
      }),
      RUNS,
    );
  });

  it('covers the true accuracy about 95 times in 100, with problems of unequal difficulty', () => {
    const random = new RandomStream(2, 'coverage');
    let covered = 0;
    for (let trial = 0; trial < 1000; trial++) {
      // Difficulty is uniform on 0..1, so the true accuracy is 1/2.
      const shares = Array.from({ length: 60 }, () => {
        const p = random.next();
        return [1, 2, 3, 4].filter(() => random.next() < p).length / 4;
      });
      const [low, high] = averageAtK(shares, 4).ci95;
      if (low <= 0.5 && 0.5 <= high) covered++;
    }
    expect(covered).toBeGreaterThan(930);
    expect(covered).toBeLessThan(970);
  });
});

describe('passAtK', () => {
  it.each([
    [4, 2, 1, 1 / 2],
    [4, 2, 2, 5 / 6],
    [4, 2, 3, 1],
    [10, 1, 5, 1 / 2],
    [10, 0, 10, 0],
    [1, 1, 1, 1],
  ])('n=%d, c=%d, k=%d', (n, c, k, value) => {
    expect(passAtK(n, c, k)).toBeCloseTo(value, 12);
  });

  it('is the share of subsets of k that hold a right sample', () => {
    const subsets = (n: number, k: number, from = 0): number[][] =>
      k === 0
        ? [[]]
        : Array.from({ length: n - from }, (_, i) => from + i).flatMap((first) =>
            subsets(n, k - 1, first + 1).map((rest) => [first, ...rest]),
          );
    for (let n = 1; n <= 7; n++)
      for (let c = 0; c <= n; c++)
        for (let k = 1; k <= n; k++) {
          const all = subsets(n, k);
          const hit = all.filter((subset) => subset.some((sample) => sample < c)).length;
          expect(passAtK(n, c, k)).toBeCloseTo(hit / all.length, 12);
        }
  });

  it('refuses k above n', () => {
    expect(() => passAtK(4, 2, 5)).toThrow(RangeError);
  });
});

describe('majority', () => {
  const votes = (text: string) =>
    [...text].map((answer) => ({ answer: answer === '-' ? undefined : answer.toLowerCase(), correct: answer === 'A' }));
  it.each([
    ['AAb', 1],
    ['Abb', 0],
    ['Ab', 1 / 2],
    ['Abc', 1 / 3],
    ['----A', 1],
    ['---', 0],
    ['', 0],
  ])('of %s is %d', (text, value) => {
    expect(majority(votes(text))).toBeCloseTo(value, 12);
  });

  it('counts equivalent answers together', () => {
    const half = ['1/2', '0.5', '3', '3', '0.50'].map((answer) => ({ answer, correct: answer !== '3' }));
    expect(majority(half, (a, b) => (a === '3') === (b === '3'))).toBe(1);
    expect(majority(half)).toBe(0);
  });
});

describe('pairedDifference', () => {
  it('is a t interval on the differences', () => {
    // Differences 1, 0, 1, 0: mean 1/2, standard error 1/sqrt(12), t(3) = 3.1824.
    const { value, ci95 } = pairedDifference([0, 0, 0, 1], [1, 0, 1, 1]);
    expect(value).toBe(0.5);
    expect(ci95[1] - value).toBeCloseTo(3.1824 / Math.sqrt(12), 2);
    expect(value - ci95[0]).toBeCloseTo(ci95[1] - value, 12);
  });

  it('is narrower than two separate intervals when problems are hard for both', () => {
    const random = new RandomStream(3, 'paired');
    const before = Array.from({ length: 200 }, () => random.next());
    const after = before.map((share) => Math.min(1, share + 0.05 * random.next()));
    const [low, high] = pairedDifference(before, after).ci95;
    const [lowOne, highOne] = averageAtK(after, 4).ci95;
    expect(high - low).toBeLessThan((highOne - lowOne) / 5);
  });

  it('needs the same problems', () => {
    expect(() => pairedDifference([1, 0], [1])).toThrow(RangeError);
  });
});

describe('pairedBootstrap', () => {
  const random = new RandomStream(5, 'pairs');
  const before = Array.from({ length: 200 }, () => (random.next() < 0.3 ? 1 : 0));
  const after = before.map((value) => (random.next() < 0.2 ? 1 : value));

  it('agrees with the t interval where there are many problems, and repeats', () => {
    const bootstrap = pairedBootstrap(before, after, { seed: 1 });
    const t = pairedDifference(before, after);
    expect(bootstrap.value).toBeCloseTo(t.value, 12);
    expect(Math.abs(bootstrap.ci95[0] - t.ci95[0])).toBeLessThan(0.01);
    expect(Math.abs(bootstrap.ci95[1] - t.ci95[1])).toBeLessThan(0.01);
    expect(pairedBootstrap(before, after, { seed: 1 })).toEqual(bootstrap);
  });

  it('is a point where nothing differs, and refuses lists that are no pairs', () => {
    expect(pairedBootstrap(before, before, { seed: 1 })).toEqual({ value: 0, ci95: [0, 0] });
    expect(() => pairedBootstrap([1], [1], { seed: 1 })).toThrow(RangeError);
    expect(() => pairedBootstrap([1, 0], [1], { seed: 1 })).toThrow(RangeError);
  });
});
