import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideRequests, divideSequences, tokensOfEach } from '../../src/engine/local/divide.js';
import { costOfWaves, planWaves, type Wave } from '../../src/engine/local/waves.js';
import { rollouts, sequencesOf } from './rollouts.js';

const request = (n: number, tokens = 4) => ({
  promptTokens: new Int32Array(tokens),
  params: { n, maxTokens: 8, temperature: 1, seed: 1 },
});

const CACHE = { positions: 1e6, maxContext: 64 };
const BUDGET = { alone: 1024, beside: 1024 };
const membersOf = (waves: readonly Wave[]): number[] =>
  waves.flatMap(({ batches }) => batches.flatMap(({ members }) => members));
const ascending = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

describe('dividing sequences over workers', () => {
  it('gives every sequence to one worker, in runs within the budget of each', () => {
    const sequences = sequencesOf(Array.from({ length: 90 }, (_, i) => 20 + ((i * 37) % 120)));
    const hands = divideSequences(sequences, BUDGET, 2) ?? [];
    expect(ascending(hands.flatMap(membersOf))).toEqual(ascending([...sequences.keys()]));
    for (const { T, members } of hands.flat().flatMap(({ batches }) => batches)) {
      expect(T * members.length).toBeLessThanOrEqual(tokensOfEach(1024, 2));
      for (const member of members) expect(sequences[member]?.input.length).toBeLessThanOrEqual(T);
    }
  });

  it('divides an even batch evenly', () => {
    const hands = divideSequences(sequencesOf(new Array<number>(8).fill(128)), BUDGET, 2);
    expect(hands?.map((hand) => membersOf(hand).length)).toEqual([4, 4]);
  });

  it('leaves one sequence, and work that one of them makes unequal, to one worker with all threads', () => {
    expect(divideSequences(sequencesOf([1024]), BUDGET, 2)).toBeUndefined();
    expect(divideSequences(sequencesOf([1024, 16, 16]), BUDGET, 2)).toBeUndefined();
  });

  it('divides groups of rollouts by their prompts, and a large group in parts', () => {
    for (const [groups, size] of [
      [32, 8],
      [1, 128],
    ] as const) {
      const sequences = rollouts({ groups, size, prompt: 30, response: (i) => 10 + ((i * 7) % 50) });
      const hands = divideSequences(sequences, BUDGET, 2) ?? [];
      expect(ascending(hands.flatMap(membersOf))).toEqual(ascending([...sequences.keys()]));
      const prefixes = hands.flat().flatMap((wave) => wave.prefixes);
      expect(prefixes).toHaveLength(Math.max(groups, 2));
      expect(ascending(prefixes.flatMap(({ members }) => members))).toEqual(ascending([...sequences.keys()]));
      const [mine = 0, its = 0] = hands.map(costOfWaves);
      expect(Math.abs(mine - its)).toBeLessThan(0.1 * (mine + its));
      expect(mine + its).toBeLessThan(1.1 * costOfWaves(planWaves(sequences, BUDGET)));
    }
  });

  it('keeps the micro-batches of all workers together within the budget, down to 256 tokens each', () => {
    expect(tokensOfEach(1024, 2)).toBe(512);
    expect(tokensOfEach(1024, 8)).toBe(256);
    expect(tokensOfEach(128, 2)).toBe(128);
  });

  it('loses and doubles nothing, whatever the sequences', () => {
    const groups = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 12 })), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(groups, fc.integer({ min: 2, max: 4 }), (list, workers) => {
        const sequences = list.flatMap(([prompt, size], g) =>
          rollouts({ groups: 1, size, prompt, response: (i) => 1 + ((i * 13 + g) % 60), seed: g }),
        );
        const hands = divideSequences(sequences, { alone: 256, beside: 256 }, workers);
        if (hands) expect(ascending(hands.flatMap(membersOf))).toEqual(ascending([...sequences.keys()]));
      }),
      { seed: 3, numRuns: 100 },
    );
  });
});

describe('dividing the requests of a call', () => {
  it('sends many requests whole, neighbours to different workers', () => {
    const parts = divideRequests(new Array(20).fill(request(4)), 2, CACHE);
    expect(parts?.map((part) => part.map((some) => some.request))).toEqual([
      Array.from({ length: 10 }, (_, i) => 2 * i),
      Array.from({ length: 10 }, (_, i) => 2 * i + 1),
    ]);
    expect(parts?.flat().every(({ firstSample, params }) => firstSample === 0 && params.n === 4)).toBe(true);
  });

  it('divides the samples of few requests, each exactly once', () => {
    const counts = [13, 1, 40];
    const parts = divideRequests(
      counts.map((n) => request(n)),
      3,
      CACHE,
    );
    const seen = parts?.flatMap((part) =>
      part.flatMap(({ request, firstSample, params }) =>
        Array.from({ length: params.n }, (_, k) => `${request}:${firstSample + k}`),
      ),
    );
    const all = counts.flatMap((n, i) => Array.from({ length: n }, (_, k) => `${i}:${k}`));
    expect(new Set(seen)).toEqual(new Set(all));
    expect(seen).toHaveLength(all.length);
  });

  it('leaves a small call to one worker', () => {
    expect(divideRequests([request(31)], 2, CACHE)).toBeUndefined();
    expect(divideRequests([request(32)], 2, CACHE)).toBeDefined();
  });

  it('leaves sequences that a part of the cache cannot hold to one worker', () => {
    const long = { ...request(32), params: { ...request(32).params, maxTokens: 1e6 } };
    expect(divideRequests([long], 2, { positions: 128, maxContext: 64 })).toBeDefined();
    expect(divideRequests([long], 2, { positions: 127, maxContext: 64 })).toBeUndefined();
  });
});
