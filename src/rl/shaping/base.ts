/**
 * Base reward of a verdict: `wrong` at score 0, `correct` at score 1, linear between for partial credit.
 * DAPO Eq. 7 has correct 1 and wrong -1; GRPO on verifiable answers 1 and 0.
 */
export function baseReward(score: number, rewards: { correct: number; wrong: number }): number {
  return rewards.wrong + (rewards.correct - rewards.wrong) * score;
}
