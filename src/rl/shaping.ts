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
 * Base reward of a verdict: `wrong` at score 0, `correct` at score 1, linear between for partial credit.
 * DAPO Eq. 7 has correct 1 and wrong -1; GRPO on verifiable answers 1 and 0.
 */
export function baseReward(score: number, rewards: { correct: number; wrong: number }): number {
  return rewards.wrong + (rewards.correct - rewards.wrong) * score;
}
