import fc from 'fast-check';
import type { Datum } from '../../src/engine/types.js';

/** One token of a random response. Numbers are float32, as an engine's are. */
export interface RaggedToken {
  /** False: a tool token. */
  model: boolean;
  logprob: number;
  oldLogprob: number;
  refLogprob: number;
  samplerLogprob: number;
  entropy: number;
  advantage: number;
  value: number;
  oldValue: number;
  return: number;
  reward: number;
}

export interface RaggedResponse {
  tokens: RaggedToken[];
  /** Reward of the whole response. */
  reward: number;
  correct: boolean;
}

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true }).map(Math.fround);

const token: fc.Arbitrary<RaggedToken> = fc
  .record({
    model: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    logprob: real(-2, 0),
    ...{ old: real(-1.2, 1.2), ref: real(-1.2, 1.2), sampler: real(-1, 1) },
    ...{ entropy: real(0, 3), advantage: real(-2, 2) },
    ...{ value: real(-1, 1), oldValue: real(-1, 1), return: real(-1, 1), reward: real(-1, 1) },
  })
  .map(({ old, ref, sampler, ...rest }) => {
    const oldLogprob = Math.fround(rest.logprob + old);
    const refLogprob = Math.fround(rest.logprob + ref);
    return { ...rest, oldLogprob, refLogprob, samplerLogprob: Math.fround(oldLogprob + sampler) };
  });

const response: fc.Arbitrary<RaggedResponse> = fc.record({
  tokens: fc.array(token, { maxLength: 8 }),
  reward: fc.constantFrom(0, 1, 0.5, -1),
  correct: fc.boolean(),
});

/** Responses of one update: ragged, with tool tokens, and some of them empty. */
export const responses = fc.array(response, { minLength: 1, maxLength: 5 });

/** The responses of some prompts. Equal rewards in a group are common. */
export const groups = fc.array(responses, { minLength: 1, maxLength: 4 });

export const maskOf = ({ tokens }: RaggedResponse) => tokens.map(({ model }) => Number(model));
export const lengthsOf = (batch: readonly RaggedResponse[]) =>
  batch.map(({ tokens }) => tokens.filter(({ model }) => model).length);

export function column(response: RaggedResponse, name: Exclude<keyof RaggedToken, 'model'>): Float32Array {
  return Float32Array.from(response.tokens, (token) => token[name]);
}

/** Training sequences with the vectors that every loss reads; the weights are given per response. */
export function datums(
  batch: readonly RaggedResponse[],
  weights_S: ArrayLike<number>,
  more: Record<string, (response: RaggedResponse, s: number) => ArrayLike<number>> = {},
): Datum[] {
  return batch.map((response, s) => {
    const T = response.tokens.length;
    const vectors: Record<string, Float32Array> = {
      weight: Float32Array.from(maskOf(response), (m) => m * (weights_S[s] as number)),
      ...{ advantage: column(response, 'advantage'), oldLogprob: column(response, 'oldLogprob') },
      ...{ refLogprob: column(response, 'refLogprob'), oldValue: column(response, 'oldValue') },
      return: column(response, 'return'),
    };
    for (const [name, make] of Object.entries(more)) vectors[name] = Float32Array.from(make(response, s));
    return { input: new Int32Array(T), target: new Int32Array(T), vectors };
  });
}

export function outputs(batch: readonly RaggedResponse[]) {
  const all = (name: 'logprob' | 'entropy' | 'value') => batch.map((response) => column(response, name));
  return { logprobs: all('logprob'), entropy: all('entropy'), values: all('value') };
}
