/** How one sample's reward is turned into credit, given the other samples of its prompt. */
export interface GroupAdvantageOptions {
  /** `sample`: divide by the standard deviation with ddof 1; `none`: only subtract the mean (Dr. GRPO). */
  std: 'sample' | 'none';
  /** Added to the standard deviation. */
  eps: number;
}

/**
 * Group-relative advantages of the samples of one prompt, [G] -> [G].
 *
 *   std 'sample':  A_i = (R_i - mean(R)) / (std(R) + eps)     GRPO, arXiv 2402.03300 section 4.1; DAPO, arXiv 2503.14476 Eq. 9
 *   std 'none':    A_i =  R_i - mean(R)                       Dr. GRPO, arXiv 2503.20783 section 3.2
 *
 * The papers do not say which standard deviation; verl takes the unbiased one (ddof 1) and eps 1e-6, and for a group of
 * one mean 0 and std 1, so that A = R (verl/trainer/ppo/core_algos.py). Equal rewards give exactly 0, not rounding noise.
 */
export function groupAdvantages(rewards_G: ArrayLike<number>, options: GroupAdvantageOptions): Float64Array {
  const G = rewards_G.length;
  const R = Float64Array.from(rewards_G);
  if (G === 1) return options.std === 'sample' ? R.map((r) => r / (1 + options.eps)) : R;
  if (R.every((r) => r === R[0])) return new Float64Array(G);
  const mean = R.reduce((sum, r) => sum + r, 0) / G;
  const centred = R.map((r) => r - mean);
  if (options.std === 'none') return centred;
  const variance = centred.reduce((sum, c) => sum + c * c, 0) / (G - 1);
  return centred.map((c) => c / (Math.sqrt(variance) + options.eps));
}

/**
 * Leave-one-out advantages of the samples of one prompt (RLOO, arXiv 2402.14740; T1), [G] -> [G]:
 *
 *   A_i = R_i - 1/(G-1) sum_{j != i} R_j  =  G/(G-1) (R_i - mean(R))
 *
 * A group of one has no baseline and keeps its reward, as in verl core_algos.py `compute_rloo_outcome_advantage`.
 * Equal rewards give exactly 0.
 */
export function leaveOneOut(rewards_G: ArrayLike<number>): Float64Array {
  const G = rewards_G.length;
  const R = Float64Array.from(rewards_G);
  if (G === 1) return R;
  if (R.every((r) => r === R[0])) return new Float64Array(G);
  const sum = R.reduce((total, r) => total + r, 0);
  return R.map((r) => r - (sum - r) / (G - 1));
}
