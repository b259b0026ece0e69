import { describe, expect, it } from 'vitest';
import { EpochOrder } from '../../src/core/epoch-order.js';
import { mergeMetrics, metricValues } from '../../src/engine/metrics.js';
import { learningRate, optimStepOf, type OptimizerConfig } from '../../src/engine/optimizer.js';
import { promptResponseDatum } from '../../src/engine/sequence.js';

const optimizer: OptimizerConfig = {
  ...{ lr: 2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, gradClipNorm: null },
  ...{ warmupUpdates: 4, schedule: 'linear', finalLrFraction: 0.1 },
};

describe('learningRate', () => {
  it('rises over the warm-up and then follows the schedule', () => {
    expect([0, 1, 3, 4].map((update) => learningRate(optimizer, update, 0))).toEqual([0.5, 1, 2, 2]);
    const rate = (schedule: OptimizerConfig['schedule'], progress: number) =>
      learningRate({ ...optimizer, schedule }, 100, progress);
    expect(rate('constant', 0.9)).toBe(2);
    expect(rate('linear', 0.5)).toBeCloseTo(2 * 0.55, 12);
    expect(rate('cosine', 0.5)).toBeCloseTo(2 * 0.55, 12);
    expect(rate('cosine', 0.25)).toBeCloseTo(2 * (0.1 + 0.9 * 0.5 * (1 + Math.SQRT1_2)), 12);
    expect(rate('linear', 1.5)).toBeCloseTo(0.2, 12);
    expect(learningRate({ ...optimizer, warmupUpdates: 0 }, 0, 0)).toBe(2);
  });

  it('turns no clipping into an infinite norm', () => {
    expect(optimStepOf(optimizer, 0.5)).toEqual({
      ...{ lr: 0.5, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, gradClipNorm: Infinity },
    });
  });
});

describe('EpochOrder', () => {
  it('visits everything once a pass, in an order of its own for pass, seed and name', () => {
    const passes = (seed: number, name: string) => {
      const order = new EpochOrder(20, seed, name);
      return [0, 1].map((epoch) => Array.from({ length: 20 }, (_, i) => order.at(20 * epoch + i)));
    };
    const [first, second] = passes(1, 'a');
    expect([...first!].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(new Set([first, second, passes(2, 'a')[0], passes(1, 'b')[0]].map(String)).size).toBe(4);
  });

  it('is random access, and the identity on an endless source', () => {
    const order = new EpochOrder(7, 3, 'x');
    const forwards = Array.from({ length: 21 }, (_, i) => order.at(i));
    expect(Array.from({ length: 21 }, (_, i) => order.at(20 - i)).reverse()).toEqual(forwards);
    expect(new EpochOrder(Infinity, 3, 'x').at(12345)).toBe(12345);
    expect(() => new EpochOrder(0, 3, 'x')).toThrow(RangeError);
  });
});

describe('metrics', () => {
  it('add up sums, keep maxima, leave means over nothing out', () => {
    const merged = mergeMetrics([
      { a: { sum: 1, count: 2 }, b: { max: 3 }, c: { sum: 0, count: 0 } },
      { a: { sum: 5, count: 1 }, b: { max: 2 } },
    ]);
    expect(metricValues(merged)).toEqual({ a: 2, b: 3 });
    expect(() => mergeMetrics([{ a: { max: 1 } }, { a: { sum: 1, count: 1 } }])).toThrow(/metric a/);
  });
});

describe('promptResponseDatum', () => {
  it('shifts, and puts response vectors where the response is predicted', () => {
    const datum = promptResponseDatum(Int32Array.of(1, 2, 3), Int32Array.of(4, 5), { weight: [0.5, 0.25] });
    expect([...datum.input]).toEqual([1, 2, 3, 4]);
    expect([...datum.target]).toEqual([2, 3, 4, 5]);
    expect([...datum.vectors.weight!]).toEqual([0, 0, 0.5, 0.25]);
    expect(() => promptResponseDatum(new Int32Array(0), Int32Array.of(1), {})).toThrow(RangeError);
  });
});
