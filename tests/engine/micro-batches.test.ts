import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paddedLength } from '../../src/engine/local/llama/layer-graph.js';
import {
  bucketLength,
  costOfBatches,
  planMicroBatches,
  RUN_COST,
  type MicroBatch,
} from '../../src/engine/local/micro-batches.js';

const lengths = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 200 });
const budget = fc.constantFrom(64, 256, 1024, 8192);

/** The least cost of any plan that keeps neighbours in length together, by trying all of them. */
function leastCost(sizes: readonly number[], tokens: number): number {
  if (sizes.length === 0) return 0;
  const sorted = [...sizes].sort((a, b) => a - b);
  const costs = sorted.map((_, from) => {
    const [T, count] = [paddedLength(sorted.at(-1) as number), sorted.length - from];
    if (count > 1 && T * count > tokens) return Infinity;
    return T * count + RUN_COST + leastCost(sorted.slice(0, from), tokens);
  });
  return Math.min(...costs);
}

describe('micro-batches', () => {
  it('hold every sequence once, within its padded length and the budget', () => {
    fc.assert(
      fc.property(lengths, budget, fc.constantFrom(0, 4, 40), (sizes, tokens, past) => {
        const plan = planMicroBatches(sizes, tokens, past);
        const seen = plan.flatMap(({ members }) => members).sort((a, b) => a - b);
        expect(seen).toEqual(sizes.map((_, i) => i));
        for (const { T, members } of plan) {
          expect(T).toBe(paddedLength(Math.max(...members.map((i) => sizes[i] as number))));
          expect(members.length === 1 || T * members.length <= tokens).toBe(true);
          expect(members.length === 1 || (T + past) * members.length <= 1.25 * tokens).toBe(true);
        }
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('cost as little as any way to cut the sequences in the order of their lengths', () => {
    const few = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(few, budget, (sizes, tokens) => {
        expect(costOfBatches(planMicroBatches(sizes, tokens))).toBe(leastCost(sizes, tokens));
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  it('of many unequal sequences pad little', () => {
    const sizes = Array.from({ length: 512 }, (_, i) => 1 + ((i * 37) % 128));
    const padded = planMicroBatches(sizes, 1024).reduce((sum, { T, members }) => sum + T * members.length, 0);
    expect(padded).toBeLessThan(1.05 * sizes.reduce((sum, size) => sum + size, 0));
  });

  it('are a pure function: equal lengths give equal plans', () => {
    const sizes = Array.from({ length: 50 }, (_, i) => 1 + ((i * 37) % 90));
    const plan: MicroBatch[] = planMicroBatches(sizes, 512);
    expect(plan).toEqual(planMicroBatches(sizes.slice(), 512));
  });
});

it('lengths are padded to a multiple of the blocks that attention cuts them into, and no further', () => {
  for (let length = 1; length < 3000; length++) {
    const padded = paddedLength(length);
    expect(padded).toBeGreaterThanOrEqual(length);
    expect(padded - length).toBeLessThan(length < 128 ? 1 : length < 256 ? 2 : length < 512 ? 4 : 8);
    expect(paddedLength(padded)).toBe(padded);
  }
});

it('buckets are few, and seldom a quarter longer', () => {
  const all = Array.from({ length: 1024 }, (_, i) => i + 1);
  expect(new Set(all.map(bucketLength)).size).toBeLessThanOrEqual(32);
  for (const length of all) {
    expect(bucketLength(length)).toBeGreaterThanOrEqual(length);
    expect(bucketLength(length) - length).toBeLessThan(Math.max(16, length / 4));
    expect(bucketLength(bucketLength(length))).toBe(bucketLength(length));
  }
});
