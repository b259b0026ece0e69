import { RandomStream } from '../../src/core/index.js';
import type { Sequence } from '../../src/engine/local/training.js';

/** A sequence of these tokens: every one predicts the next. */
export function sequenceOf(tokens: readonly number[]): Sequence {
  return { input: Int32Array.from(tokens.slice(0, -1)), target: Int32Array.from(tokens.slice(1)) };
}

const draw = (random: RandomStream, count: number): number[] =>
  Array.from({ length: count }, () => random.nextInt(2, 31));

/** Sequences of these lengths that have nothing in common. */
export function sequencesOf(lengths: readonly number[]): Sequence[] {
  return lengths.map((length, i) => sequenceOf([i + 100, ...draw(new RandomStream(1, 'sequence', i), length)]));
}

interface Groups {
  groups: number;
  size: number;
  /** Tokens of each prompt. */
  prompt: number;
  /** Tokens of the i-th response. */
  response: (i: number) => number;
  seed?: number;
}

/** Groups of responses to one prompt each, as reinforcement learning trains on. */
export function rollouts({ groups, size, prompt, response, seed = 1 }: Groups): Sequence[] {
  return Array.from({ length: groups }, (_, g) => {
    const asked = draw(new RandomStream(seed, 'prompt', g), prompt);
    return Array.from({ length: size }, (_, i) => {
      const n = g * size + i;
      return sequenceOf([...asked, ...draw(new RandomStream(seed, 'response', n), response(n))]);
    });
  }).flat();
}
