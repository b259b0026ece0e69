import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  explainedVariance,
  explainedVarianceByDecile,
  explainedVarianceWithinGroups,
  startBias,
  valueMetrics,
  type ValuedResponse,
} from '../../src/rl/index.js';

const response = (values: number[], returns: number[], mask?: number[]): ValuedResponse => ({ values, returns, mask });
const number = fc.integer({ min: -16, max: 16 }).map((n) => n / 8);
const ragged = fc.array(
  fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 25 }).map((pairs) =>
    response(
      pairs.map(([v]) => v),
      pairs.map(([, g]) => g),
    ),
  ),
  { minLength: 1, maxLength: 6 },
);

/** 1 - var(G - V) / var(G) from the definition, over the tokens that are kept. */
function plain(responses: readonly ValuedResponse[], keep: (t: number, length: number) => boolean = () => true) {
  const tokens = responses.flatMap(({ values, returns }) =>
    Array.from(returns, (G, t) => ({ G, V: values[t]!, t, length: returns.length })),
  );
  const kept = tokens.filter(({ t, length }) => keep(t, length));
  const variance = (x: number[]) => {
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    return x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  };
  const total = variance(kept.map(({ G }) => G));
  return total > 0 ? 1 - variance(kept.map(({ G, V }) => G - V)) / total : undefined;
}

function same(got: number | undefined, want: number | undefined): void {
  if (want === undefined) expect(got).toBeUndefined();
  else expect(Math.abs(got! - want)).toBeLessThan(1e-6 * Math.max(1, Math.abs(want)));
}

describe('explained variance', () => {
  it('is 1 for the returns themselves, 0 for a constant, below 0 for the opposite, undefined without variance', () => {
    const G = [0, 1, 1, 0, 1];
    expect(explainedVariance([response(G, G)])).toBe(1);
    expect(explainedVariance([response([3, 4, 4, 3, 4], G)])).toBeCloseTo(1, 12);
    expect(explainedVariance([response([0.6, 0.6, 0.6, 0.6, 0.6], G)])).toBeCloseTo(0, 12);
    expect(explainedVariance([response([1, 0, 0, 1, 0], G)])).toBeCloseTo(-3, 12);
    expect(explainedVariance([response([1, 2, 3], [0.1, 0.1, 0.1])])).toBeUndefined();
    expect(explainedVariance([])).toBeUndefined();
  });

  it('equals its definition on ragged responses, overall and by decile', () => {
    fc.assert(
      fc.property(ragged, (responses) => {
        same(explainedVariance(responses), plain(responses));
        explainedVarianceByDecile(responses).forEach((value, decile) =>
          same(
            value,
            plain(responses, (t, length) => Math.floor((10 * t) / length) === decile),
          ),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('leaves tool tokens out, also of the place within a response', () => {
    const tools = [response([9, 0, 9, 1], [5, 0, -5, 1], [0, 1, 0, 1]), response([1, 0], [0, 1])];
    const without = [response([0, 1], [0, 1]), response([1, 0], [0, 1])];
    expect(valueMetrics([tools])).toEqual(valueMetrics([without]));
  });

  it('within groups sees no credit in knowing which prompts are hard', () => {
    const all = (v: number, g: number) => response([v, v], [g, g]);
    const byPrompt = [
      [all(0.25, 0), all(0.25, 0), all(0.25, 0), all(0.25, 1)],
      [all(0.75, 1), all(0.75, 1), all(0.75, 0), all(0.75, 1)],
    ];
    expect(explainedVariance(byPrompt.flat())).toBeCloseTo(0.25, 12);
    expect(explainedVarianceWithinGroups(byPrompt)).toBeCloseTo(0, 12);
    const knows = byPrompt.map((group) =>
      group.map(({ returns }) => response([returns[0]!, returns[0]!], [...Array.from(returns)])),
    );
    expect(explainedVarianceWithinGroups(knows)).toBe(1);
    // A group whose returns do not vary has nothing to explain.
    expect(explainedVarianceWithinGroups([...knows, [all(0.1, 1), all(0.9, 1)]])).toBe(1);
    expect(explainedVarianceWithinGroups([[all(0.1, 1), all(0.9, 1)]])).toBeUndefined();
  });

  it('the bias at the start is the mean value there against the mean return', () => {
    const responses = [response([0.5, 9], [1, 1]), response([0.9, 9], [0, 0]), response([9, 0.4], [1, 1], [0, 1])];
    expect(startBias(responses)).toEqual({
      value: expect.closeTo(0.6, 12),
      return: expect.closeTo(2 / 3, 12),
      bias: expect.closeTo(0.6 - 2 / 3, 12),
    });
    expect(startBias([])).toBeUndefined();
  });
});
