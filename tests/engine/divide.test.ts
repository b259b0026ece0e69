import { describe, expect, it } from 'vitest';
import { divideRequests, divideSequences, tokensOfEach } from '../../src/engine/local/divide.js';
import { paddedLength, planMicroBatches } from '../../src/engine/local/micro-batches.js';

const request = (n: number, tokens = 4) => ({
  promptTokens: new Int32Array(tokens),
  params: { n, maxTokens: 8, temperature: 1, seed: 1 },
});

const CACHE = { positions: 1e6, maxContext: 64 };

describe('dividing sequences over workers', () => {
  it('gives every sequence to one worker, in runs within the budget of each', () => {
    const lengths = Array.from({ length: 90 }, (_, i) => 20 + ((i * 37) % 120));
    const hands = divideSequences(lengths, 1024, 2);
    const dealt = hands?.flat().flatMap(({ members }) => members) ?? [];
    expect([...dealt].sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    for (const { T, B, members } of hands?.flat() ?? []) {
      expect(T * B).toBeLessThanOrEqual(tokensOfEach(1024, 2));
      expect(members.length).toBeLessThanOrEqual(B);
      expect(Math.max(...members.map((member) => paddedLength(lengths[member] as number)))).toBeLessThanOrEqual(T);
    }
  });

  it('divides an even batch evenly', () => {
    const hands = divideSequences(new Array<number>(8).fill(128), 1024, 2);
    expect(hands?.map((hand) => hand.reduce((sum, { members }) => sum + members.length, 0))).toEqual([4, 4]);
  });

  it('leaves one sequence, and work that one of them makes unequal, to one worker with all threads', () => {
    expect(divideSequences([1024], 1024, 2)).toBeUndefined();
    expect(divideSequences([1024, 16, 16], 1024, 2)).toBeUndefined();
  });

  it('keeps the micro-batches of all workers together within the budget, down to 256 tokens each', () => {
    expect(tokensOfEach(1024, 2)).toBe(512);
    expect(tokensOfEach(1024, 8)).toBe(256);
    expect(tokensOfEach(128, 2)).toBe(128);
    expect(planMicroBatches([100], tokensOfEach(1024, 2))[0]?.T).toBe(104);
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
