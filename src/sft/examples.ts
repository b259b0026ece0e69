import { HoneError } from '../core/index.js';
import type { Datum } from '../engine/types.js';
import type { SftConfig } from './config.js';

/** One sequence to imitate. */
export interface SftExample {
  tokens: Int32Array;
  /** Not 0 (or true) where the token is to be learned, [tokens]; the first token cannot be. */
  mask: ArrayLike<number | boolean>;
  /** Where it came from (`file:line`), for errors. */
  where?: string;
}

/** Examples as a pure function of an index. */
export interface SftSource {
  /** Infinity for a procedural family. */
  readonly size: number;
  at(index: number): SftExample;
}

/** The example of a tokenised prompt and its response; only the response is learned. */
export function promptResponseExample(tokens: Int32Array, promptLength: number): SftExample {
  return { tokens, mask: Uint8Array.from(tokens, (_, i) => (i < promptLength ? 0 : 1)) };
}

/** A list as a source. */
export function listSource(examples: readonly SftExample[]): SftSource {
  return {
    size: examples.length,
    at: (index) => {
      const example = examples[index];
      if (!example) throw new RangeError(`no example ${index} in a list of ${examples.length}`);
      return example;
    },
  };
}

/** An example as the trainer uses it, or why it does not. */
export type Fitted = { tokens: Int32Array; learned_T: Uint8Array; truncated: boolean } | 'dropped';

/**
 * Applies the length limit. `learned_T[t]` is 1 where target t (token t + 1) is learned. An example in which nothing is
 * left to learn is dropped.
 * @throws HoneError('input') for a mask that does not fit, or an over-long example under `overlong: error`.
 */
export function fit(example: SftExample, config: Pick<SftConfig, 'maxTokens' | 'overlong'>): Fitted {
  const { tokens, mask, where } = example;
  if (mask.length !== tokens.length)
    throw new HoneError('input', `the mask has ${mask.length} entries for ${tokens.length} tokens`, { where });
  const truncated = tokens.length > config.maxTokens;
  if (truncated && config.overlong === 'error')
    throw new HoneError('input', `the example has ${tokens.length} tokens, more than maxTokens ${config.maxTokens}`, {
      where,
      hint: 'Raise maxTokens, shorten the row, or set overlong to truncate or drop.',
    });
  if (truncated && config.overlong === 'drop') return 'dropped';
  const kept = tokens.subarray(0, config.maxTokens);
  const learned_T = Uint8Array.from({ length: Math.max(0, kept.length - 1) }, (_, t) => (mask[t + 1] ? 1 : 0));
  return learned_T.includes(1) ? { tokens: kept, learned_T, truncated } : 'dropped';
}

/** Datums of one update: token-mean over all its learned tokens, folded into the weights. */
export function tokenMeanDatums(fitted: readonly Exclude<Fitted, 'dropped'>[]): Datum[] {
  const learned = fitted.reduce((sum, { learned_T }) => sum + learned_T.reduce((a, b) => a + b, 0), 0);
  return fitted.map(({ tokens, learned_T }) => ({
    input: tokens.subarray(0, -1),
    target: tokens.subarray(1),
    vectors: { weight: Float32Array.from(learned_T, (flag) => flag / learned) },
  }));
}
