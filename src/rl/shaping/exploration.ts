import { missingAnswerPenalty } from './penalties.js';

/** A response as RLSP rewards it. */
export interface RlspAnswer {
  /** An answer was found (the reference looks for \boxed). */
  answerFound: boolean;
  correct: boolean;
  /** L(y) > 0: length of the reasoning in tokens. The reference estimates characters before the last \boxed, divided by 4. */
  length: number;
  /** e_llm(y) in [0, 1]; null: no judge. */
  effort: number | null;
}

export interface RlspRewardOptions {
  /** Reward without an answer; -0.5 in the reference. */
  missingAnswer: number;
  /** P >= 0; 1000 in the reference's main runs. */
  lengthPenalty: number;
  /** Weights of (correctness + length term) and of the effort; 0.8 and 0.2 in the reference. Unused without a judge. */
  weights: { outcome: number; effort: number };
}

/** c(y) = -0.5 without an answer, 1 when right, 0 when wrong (RLSP, openrlhf/cli/orm_server_efficient.py). */
export function rlspCorrectness(answer: Pick<RlspAnswer, 'answerFound' | 'correct'>, missingAnswer: number): number {
  return missingAnswerPenalty(answer.answerFound, missingAnswer) + Number(answer.answerFound && answer.correct);
}

/** e_len(y) = -P / L(y): pushes away from short responses, and saturates. A response of no tokens counts as one. */
export function rlspLengthTerm(length: number, lengthPenalty: number): number {
  return lengthPenalty === 0 ? 0 : -lengthPenalty / Math.max(length, 1);
}

/**
 * RLSP's reward, exploration apart from correctness (arXiv 2502.06773; weights: openrlhf/cli/orm_server_efficient.py):
 *
 *   without judge   r(y) = c(y) + e_len(y)
 *   with judge      r(y) = 0.8 (c(y) + e_len(y)) + 0.2 e_llm(y)
 *
 * It is then normalised over the run ({@link normaliseReward}) and clipped to +-10.
 */
export function rlspReward(answer: RlspAnswer, options: RlspRewardOptions): number {
  const outcome = rlspCorrectness(answer, options.missingAnswer) + rlspLengthTerm(answer.length, options.lengthPenalty);
  if (answer.effort === null) return outcome;
  return options.weights.outcome * outcome + options.weights.effort * answer.effort;
}
