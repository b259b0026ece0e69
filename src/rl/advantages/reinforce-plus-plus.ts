import { groupAdvantages } from './group.js';
import { monteCarloReturns } from './gae.js';
import { spread } from './tokens.js';
import { whiten } from './whiten.js';

const WHITEN = { shiftMean: true, eps: 1e-8 };

/**
 * REINFORCE++ (arXiv 2501.03262): no baseline of a group; the discounted return of each token,
 * whitened over all tokens of the iteration. Ragged [S][T] -> [S][T].
 *
 *   G_t = sum_k gamma^k r_{t+k},   A_t = (G_t - mean(G)) / std(G)
 *
 * `rewards_ST` hold the KL penalty where there is one ({@link klPenalisedRewards}) and the outcome on the last token.
 * Reference: verl core_algos.py `compute_reinforce_plus_plus_outcome_advantage`.
 */
export function reinforcePlusPlus(
  rewards_ST: readonly ArrayLike<number>[],
  mask_ST: readonly ArrayLike<number>[],
  gamma: number,
): Float64Array[] {
  const returns_ST = rewards_ST.map((rewards_T, s) =>
    monteCarloReturns({ rewards_T, mask_T: mask_ST[s] ?? [], gamma }),
  );
  return whiten(returns_ST, mask_ST, WHITEN);
}

/**
 * REINFORCE++ with a baseline (arXiv 2501.03262): the mean reward of the prompt's samples is taken off first,
 * then everything is whitened over all tokens of the iteration. Rewards [P][G], masks [P][G][T] -> [P][G][T]. A group of
 * one keeps its reward. Reference: verl core_algos.py `compute_reinforce_plus_plus_baseline_outcome_advantage`.
 */
export function reinforcePlusPlusBaseline(
  rewards_PG: readonly ArrayLike<number>[],
  mask_PGT: readonly (readonly ArrayLike<number>[])[],
): Float64Array[][] {
  const centred_PGT = rewards_PG.map((rewards_G, p) =>
    Array.from(groupAdvantages(rewards_G, { std: 'none', eps: 0 }), (a, g) => spread(a, mask_PGT[p]?.[g] ?? [])),
  );
  const whitened_ST = whiten(centred_PGT.flat(), mask_PGT.flat(), WHITEN);
  let s = 0;
  return centred_PGT.map((group) => group.map(() => whitened_ST[s++] as Float64Array));
}
