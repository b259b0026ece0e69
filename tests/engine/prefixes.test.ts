import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketLength } from '../../src/engine/local/micro-batches.js';
import { planPrefixes, type SharedPrefix } from '../../src/engine/local/prefix-plan.js';
import { commonLength, Prefix, PrefixStore } from '../../src/engine/local/prefixes.js';
import { positionsFor, roomAtMost, SlotPlan, slotsOfCopy } from '../../src/engine/local/slots.js';

/** Prompts as paths through a small tree, so that beginnings of all lengths are shared. */
const promptsArbitrary = fc
  .array(fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 120 })), { maxLength: 4 }), {
    maxLength: 14,
  })
  .map((paths) => paths.map((path) => Int32Array.from([9, ...path.flatMap(([t, n]) => new Array<number>(n).fill(t))])));

const chainOf = (shared: SharedPrefix | undefined): SharedPrefix[] =>
  shared ? [...chainOf(shared.parent), shared] : [];

describe('planPrefixes', () => {
  it('chooses beginnings that several prompts share, and saves more than it costs', () => {
    fc.assert(
      fc.property(promptsArbitrary, (prompts) => {
        const plan = planPrefixes(prompts, 0, Infinity);
        const nodes = new Set(plan.flatMap(chainOf));
        plan.forEach((shared, i) => {
          for (const { tokens } of chainOf(shared)) {
            expect(commonLength(tokens, prompts[i]!)).toBe(tokens.length);
            expect(tokens.length).toBeLessThan(prompts[i]!.length);
            expect(tokens.length % 16).toBe(0);
          }
        });
        for (const node of nodes) {
          expect(plan.filter((shared) => chainOf(shared).includes(node)).length).toBeGreaterThan(1);
          expect(node.tokens.length).toBeGreaterThan(node.parent?.tokens.length ?? 0);
        }
        const saved = plan.reduce((sum, shared) => sum + (shared?.tokens.length ?? 0), 0);
        const read = [...nodes].reduce(
          (sum, { tokens, parent }) => sum + tokens.length - (parent?.tokens.length ?? 0),
          0,
        );
        const runs = nodes.size + plan.filter((shared) => shared).length;
        if (nodes.size > 0) expect(saved - read).toBeGreaterThan(runs * 64);
      }),
      { seed: 5, numRuns: 400 },
    );
  });

  it('keeps to its positions, and does not depend on the order of prompts', () => {
    fc.assert(
      fc.property(promptsArbitrary, fc.integer({ min: 0, max: 300 }), (prompts, positions) => {
        const plan = planPrefixes(prompts, 0, positions);
        const nodes = [...new Set(plan.flatMap(chainOf))];
        const taken = nodes.reduce((sum, { tokens, parent }) => sum + tokens.length - (parent?.tokens.length ?? 0), 0);
        expect(taken).toBeLessThanOrEqual(positions);
        const reversed = planPrefixes(prompts.slice().reverse(), 0, positions).reverse();
        expect(reversed.map((shared) => shared?.tokens)).toEqual(plan.map((shared) => shared?.tokens));
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it('finds nothing worth it in short or different prompts', () => {
    const short = [1, 2, 3].map((last) => Int32Array.from([...new Array<number>(40).fill(7), last]));
    const different = [1, 2, 3].map((token) => new Int32Array(400).fill(token));
    for (const prompts of [short, different, [], [new Int32Array(400)]])
      expect(planPrefixes(prompts, 0, Infinity).every((shared) => shared === undefined)).toBe(true);
  });
});

describe('PrefixStore', () => {
  const at = (length: number, token = 1): Int32Array => new Int32Array(length).fill(token);
  function stored(store: PrefixStore, prefix: Prefix): Prefix {
    prefix.rows = { from: prefix.from, to: prefix.tokens.length, data: new Float32Array() };
    store.add(prefix);
    return prefix;
  }

  it('drops the least recently used first, never what is pinned or a parent of what stays', () => {
    const store = new PrefixStore(10);
    store.limit(1000);
    const root = stored(store, new Prefix(undefined, at(20)));
    const child = stored(store, new Prefix(root, at(30)));
    const other = stored(store, new Prefix(undefined, at(20, 2)));
    const pinned = stored(store, new Prefix(undefined, at(20, 3)));
    store.pin(pinned);
    expect(store.bytes).toBe(700);
    store.find(root, at(30));
    expect(store.makeRoom(500)).toBe(true);
    expect([root, child, other, pinned].map((prefix) => store.has(prefix))).toEqual([true, true, false, true]);
    expect(store.makeRoom(900)).toBe(false);
    expect([root, child, pinned].map((prefix) => store.has(prefix))).toEqual([false, false, true]);
    store.unpin(pinned);
    expect(store.makeRoom(900)).toBe(true);
    expect(store.bytes).toBe(0);
  });

  it('finds what was read by its chain, and what was kept by its content', () => {
    const store = new PrefixStore(1);
    store.limit(Infinity);
    const root = stored(store, new Prefix(undefined, at(16)));
    const kept = stored(store, new Prefix(root, at(40), true));
    expect(store.find(undefined, at(16))).toBe(root);
    expect(store.find(undefined, at(40))).toBeUndefined();
    expect(store.find(root, at(40))).toBeUndefined();
    expect(store.longest(at(33))).toEqual({ prefix: kept, length: 33 });
    expect(store.longest(at(33, 2))).toBeUndefined();
    expect(kept.chain).toEqual([root, kept]);
  });
});

describe('SlotPlan', () => {
  const count = fc.integer({ min: 1, max: 300 });

  it('gives every sequence its text, padded, and the longest one room to end', () => {
    const extents = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 400 })).map(([length, more]) => ({
        length,
        longest: length + more,
      })),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(extents, count, fc.integer({ min: 0, max: 20_000 }), (rows, most, extra) => {
        const longest = Math.max(...rows.map(roomAtMost));
        const plan = new SlotPlan(longest + extra, most, longest);
        const length = plan.lengthFor(rows);
        for (const row of rows) expect(length).toBeGreaterThanOrEqual(bucketLength(row.length));
        expect(length).toBeLessThanOrEqual(longest);
        expect(plan.slotsAt(longest)).toBeGreaterThanOrEqual(1);
        expect(plan.slotsAt(length) * length).toBeLessThanOrEqual(longest + extra);
        expect(plan.slotsAt(length)).toBeLessThanOrEqual(most);
        const roomy = new SlotPlan(positionsFor(most, longest), most, longest);
        expect([roomy.lengthFor(rows), roomy.slotsAt(longest)]).toEqual([longest, most]);
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});

describe('slots of a copy', () => {
  const MB = 2 ** 20;
  const of = (weights: number, copies: number, longest: number) =>
    slotsOfCopy({ weights, position: 4096 }, copies)(longest);

  it('are as many as 16 MiB hold at half their length, besides the weights of all copies', () => {
    expect(of(4 * MB, 2, 128)).toBe((4 * MB) / (4096 * 64));
    expect(of(4 * MB, 2, 64)).toBe((4 * MB) / (4096 * 32));
  });

  it('are the most there may be where sequences are short, or where hardly any would fit', () => {
    expect([of(4 * MB, 2, 8), of(4 * MB, 2, 1024), of(8 * MB, 2, 16), of(4 * MB, 8, 16)]).toEqual([128, 128, 128, 128]);
  });
});
