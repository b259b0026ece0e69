/**
 * Soft overlong punishment R_len, added to the reward (DAPO, arXiv 2503.14476 Eq. 13):
 *
 *   0                                        |y| <= L_max - L_cache
 *   ((L_max - L_cache) - |y|) / L_cache      L_max - L_cache < |y| <= L_max
 *   -1                                       |y| > L_max
 *
 * @param length |y|: response tokens, the end token included. @param factor scales the result (verl, reward_manager/dapo.py).
 * @returns a number in [-factor, 0].
 */
export function softOverlongPunishment(length: number, maxTokens: number, cacheTokens: number, factor = 1): number {
  const expected = maxTokens - cacheTokens;
  if (length <= expected) return 0;
  if (length > maxTokens) return -factor;
  return ((expected - length) / cacheTokens) * factor;
}

/**
 * Overlong filtering (DAPO, arXiv 2503.14476 section 3.4): truncated responses leave the loss and its token count. Lengths
 * [S] and stops [S] -> the lengths that count, [S], 0 for the truncated: {@link tokenWeights} gives those weight 0.
 */
export function overlongFilter(lengths_S: readonly number[], truncated_S: readonly boolean[]): number[] {
  return lengths_S.map((length, i) => (truncated_S[i] === true ? 0 : length));
}
