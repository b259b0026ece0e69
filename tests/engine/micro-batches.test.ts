import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketLength, paddedLength, planMicroBatches } from '../../src/engine/local/micro-batches.js';

const lengths = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 200 });
const budget = fc.constantFrom(64, 256, 1024, 8192);

describe('micro-batches', () => {
  it('hold every sequence once, within its padded length and the budget', () => {
    fc.assert(
      fc.property(lengths, budget, (sizes, tokens) => {
        const plan = planMicroBatches(sizes, tokens);
        const seen = plan.flatMap(({ members }) => members).sort((a, b) => a - b);
        expect(seen).toEqual(sizes.map((_, i) => i));
        for (const { T, B, members } of plan) {
          expect(members.length).toBeGreaterThan(0);
          expect(members.length).toBeLessThanOrEqual(B);
          for (const i of members) expect(sizes[i]).toBeLessThanOrEqual(T);
          expect(B === 1 || T * B <= tokens).toBe(true);
        }
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('cost no more than one run for each padded length', () => {
    const cost = (plan: { T: number; B: number }[]): number => plan.reduce((sum, { T, B }) => sum + T * B + 64, 0);
    fc.assert(
      fc.property(lengths, (sizes) => {
        const separate = [...new Set(sizes.map(paddedLength))].flatMap((T) =>
          planMicroBatches(
            sizes.filter((size) => paddedLength(size) === T),
            1024,
          ),
        );
        expect(cost(planMicroBatches(sizes, 1024))).toBeLessThanOrEqual(cost(separate));
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  it('are a pure function: equal lengths give equal plans', () => {
    const sizes = Array.from({ length: 50 }, (_, i) => 1 + ((i * 37) % 90));
    expect(planMicroBatches(sizes, 512)).toEqual(planMicroBatches(sizes.slice(), 512));
  });

  it.each([
    { name: 'bucketLength', round: bucketLength, most: 32, step: 16, share: 1 / 4 },
    { name: 'paddedLength', round: paddedLength, most: 64, step: 8, share: 1 / 8 },
  ])('pad to few lengths: $name', ({ round, most, step, share }) => {
    const lengths = Array.from({ length: 1024 }, (_, i) => i + 1);
    expect(new Set(lengths.map(round)).size).toBeLessThanOrEqual(most);
    for (const length of lengths) {
      expect(round(length)).toBeGreaterThanOrEqual(length);
      expect(round(length) - length).toBeLessThan(Math.max(step, length * share));
      expect(round(round(length))).toBe(round(length));
    }
  });
});
