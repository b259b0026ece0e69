import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argMax, drawToken } from '../../src/engine/local/draw.js';

const distribution = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 20 })
  .filter((weights) => weights.some((weight) => weight > 1e-3))
  .map((weights) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Float32Array.from(weights, (weight) => weight / total);
  });
const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const filters = fc.record({
  topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
  topK: fc.integer({ min: 0, max: 6 }),
  minP: fc.double({ min: 0, max: 0.9, noNaN: true }),
});

/** The filters one after the other as their definitions say, by sorting the whole vocabulary. */
function plainFilter(p: Float32Array, { topP, topK, minP }: { topP: number; topK: number; minP: number }) {
  let kept = [...p.keys()].filter((i) => (p[i] as number) > 0);
  kept.sort((a, b) => (p[b] as number) - (p[a] as number) || a - b);
  if (topK > 0) kept = kept.slice(0, topK);
  const total = topK > 0 ? kept.reduce((sum, i) => sum + (p[i] as number), 0) : 1;
  if (topP < 1) {
    let mass = 0;
    const end = kept.findIndex((i) => (mass += p[i] as number) >= topP * total);
    if (end >= 0) kept = kept.slice(0, end + 1);
  }
  const floor = minP * (p[kept[0] as number] as number);
  return kept.filter((i) => (p[i] as number) >= floor);
}

describe('drawToken', () => {
  it('keeps to the filtered set and reports the renormalised probability', () => {
    fc.assert(
      fc.property(distribution, uniform, filters, (p, u, cut) => {
        const allowed = plainFilter(p, cut);
        const { token, probability } = drawToken(p, u, cut);
        expect(p[token]).toBeGreaterThan(0);
        const filtered = cut.topP < 1 || cut.topK > 0 || cut.minP > 0;
        if (!filtered) return;
        expect(allowed).toContain(token);
        const mass = allowed.reduce((sum, i) => sum + (p[i] as number), 0);
        expect(probability).toBeCloseTo((p[token] as number) / mass, 5);
      }),
      { seed: 11, numRuns: 2000 },
    );
  });

  it('is the inverse of the cumulative distribution', () => {
    const p = Float32Array.of(0.25, 0, 0.5, 0.25);
    const at = (u: number): number => drawToken(p, u, {}).token;
    expect([0, 0.2499, 0.25, 0.7499, 0.75, 0.9999999].map(at)).toEqual([0, 0, 2, 2, 3, 3]);
  });

  it('never draws a token of probability zero when rounding leaves u beyond the end', () => {
    const p = Float32Array.of(0.3, 0.3, 0.3, 0);
    expect(drawToken(p, 0.999, {}).token).toBe(2);
  });

  it('greedy takes the first of equals', () => {
    expect(argMax(Float32Array.of(-3, -1, -1, -2))).toBe(1);
  });
});
