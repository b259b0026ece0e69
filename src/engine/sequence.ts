import type { Datum } from './types.js';

/**
 * The training sequence of a prompt and its response: inputs are all tokens but the last, targets all but the first.
 * Response token j is the target at position `prompt.length - 1 + j`; each given response vector lands there, and is 0
 * on the prompt.
 * @param vectors per-token numbers of the response, each [response].
 * @throws RangeError when the prompt or the response is empty, since then nothing predicts the first response token.
 */
export function promptResponseDatum(
  prompt: Int32Array,
  response: Int32Array,
  vectors: Readonly<Record<string, ArrayLike<number>>>,
): Datum {
  if (prompt.length === 0 || response.length === 0)
    throw new RangeError('a training sequence needs at least one prompt token and one response token');
  const tokens = new Int32Array(prompt.length + response.length);
  tokens.set(prompt);
  tokens.set(response, prompt.length);
  const placed: Record<string, Float32Array> = {};
  for (const [name, values] of Object.entries(vectors)) {
    placed[name] = new Float32Array(tokens.length - 1);
    placed[name].set(values, prompt.length - 1);
  }
  return { input: tokens.subarray(0, -1), target: tokens.subarray(1), vectors: placed };
}
