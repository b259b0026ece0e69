/** What T1 punishes in a response. */
export interface UnexpectedPatterns {
  /** Heavy repetition. */
  repetition: boolean;
  /** Mixed languages or gibberish. */
  garbage: boolean;
  /** Cut at the token limit. */
  overlong: boolean;
}

/**
 * T1's penalty for unexpected patterns (arXiv 2501.11651): the reward is set to `penalty` (-1), whatever the
 * verdict says, when any of them is there. The leave-one-out baseline includes such rewards.
 */
export function penalised(reward: number, patterns: UnexpectedPatterns, penalty: number): number {
  return patterns.repetition || patterns.garbage || patterns.overlong ? penalty : reward;
}

/** A penalty added when no answer was found in the response (RLSP's orm_server.py: -0.5), else 0. */
export function missingAnswerPenalty(answerFound: boolean, penalty: number): number {
  return answerFound ? 0 : penalty;
}
