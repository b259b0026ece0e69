/**
 * STILL-3's length rewards (arXiv 2503.04548 section 4.2). They are here for study: in the paper all of them lengthen
 * responses, and accuracy falls with all but RRA. Correctness R_corr is 1 or -1.
 */

/** RRL: R_i = L_i / L_max + R_corr. @param maxLength L_max: the token budget of a response. */
export function rrlReward(length: number, maxLength: number, correctness: number): number {
  return length / maxLength + correctness;
}

/**
 * RRA: R_i = min(A_i, cap) / cap + R_corr, with A_i the number of reasoning-action words (however, but, wait, verify,
 * alternatively); the paper's cap is 20.
 */
export function rraReward(actions: number, cap: number, correctness: number): number {
  return Math.min(actions, cap) / cap + correctness;
}

/** QS: a question is kept when its right answers are longer on average than its wrong ones; both must exist. */
export function qsKeeps(lengths_G: readonly number[], correct_G: readonly boolean[]): boolean {
  const mean = (right: boolean) => {
    const lengths = lengths_G.filter((_, i) => correct_G[i] === right);
    return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  };
  return mean(true) > mean(false);
}

/**
 * RS: the longest right and the shortest wrong response of a group, when the first is the longer; only these two are
 * learnt from. The earlier one where lengths tie; null where there is no such pair.
 */
export function rsPair(
  lengths_G: readonly number[],
  correct_G: readonly boolean[],
): { longestRight: number; shortestWrong: number } | null {
  const longestRight = best(
    lengths_G,
    (i) => correct_G[i] === true,
    (a, b) => a > b,
  );
  const shortestWrong = best(
    lengths_G,
    (i) => correct_G[i] !== true,
    (a, b) => a < b,
  );
  if (longestRight === undefined || shortestWrong === undefined) return null;
  const longer = (lengths_G[longestRight] as number) > (lengths_G[shortestWrong] as number);
  return longer ? { longestRight, shortestWrong } : null;
}

function best(
  lengths_G: readonly number[],
  allowed: (i: number) => boolean,
  better: (a: number, b: number) => boolean,
): number | undefined {
  let winner: number | undefined;
  lengths_G.forEach((length, i) => {
    if (allowed(i) && (winner === undefined || better(length, lengths_G[winner] as number))) winner = i;
  });
  return winner;
}
