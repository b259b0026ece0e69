import { describe, expect, it } from 'vitest';
import { philox4x32, RandomStream } from '../../src/core/index.js';

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('Philox4x32-10', () => {
  // Known answers of the Random123 distribution (tests/kat_vectors, "philox4x32 10").
  it('equals the published vectors', () => {
    expect(hex(philox4x32([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(hex(philox4x32([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    const pi = philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]);
    expect(hex(pi)).toBe('d16cfe09 94fdcceb 5001e420 24126ea1');
  });
});

describe('RandomStream', () => {
  it('is a pure function of seed, path and index', () => {
    const draws = (...path: (string | number)[]): number[] => {
      const stream = new RandomStream(7, ...path);
      return [0, 1, 2].map((i) => stream.uniform(i));
    };
    expect(draws('a', 1)).toEqual(draws('a', 1));
    const all = [draws('a', 1), draws('a', 2), draws('b', 1), draws('a'), draws('a', '1'), draws(1, 'a'), draws('ab')];
    expect(new Set(all.flat()).size).toBe(21);
    const stream = new RandomStream(7, 'a', 1);
    expect([stream.next(), stream.next(), stream.next()]).toEqual(draws('a', 1));
  });

  it('separates seeds, also beyond 32 bits, and refuses what is no seed', () => {
    const first = (seed: number): number => new RandomStream(seed, 'x').uniform(0);
    expect(new Set([0, 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER].map(first)).size).toBe(5);
    for (const seed of [-1, 0.5, NaN, 2 ** 53]) expect(() => new RandomStream(seed)).toThrow(RangeError);
  });

  it('draws evenly: mean, variance and every value of a small range', () => {
    const stream = new RandomStream(3, 'even');
    const uniform = Array.from({ length: 20_000 }, () => stream.next());
    const mean = uniform.reduce((sum, value) => sum + value, 0) / uniform.length;
    // Standard error 0.289 / sqrt(20,000) = 0.002.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
    const counts = new Map<number, number>();
    for (let i = 0; i < 6000; i++) {
      const value = stream.nextInt(1, 6);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    // Standard deviation of each count: sqrt(6000 x 1/6 x 5/6) = 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
    const normal = Array.from({ length: 20_000 }, () => stream.nextNormal());
    const variance = normal.reduce((sum, value) => sum + value * value, 0) / normal.length;
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  it('shuffles without losing or repeating', () => {
    const items = Array.from({ length: 100 }, (_, i) => i);
    const shuffled = new RandomStream(1, 'shuffle').shuffle(items);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.slice().sort((a, b) => a - b)).toEqual(items);
    expect(() => new RandomStream(1).pick([])).toThrow(RangeError);
  });
});
