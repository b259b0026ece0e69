import { leaveOneOut } from './advantages/group.js';

/** Estimators of KL(pi, pi_ref) from one sampled token; names after J. Schulman, http://joschu.net/blog/kl-approx.html. */
export const KL_ESTIMATORS = ['k1', 'k2', 'k3'] as const;
export type KlEstimator = (typeof KL_ESTIMATORS)[number];

/** As for the ratio of the surrogate: beyond this a log-ratio is cut and carries no gradient. */
const MAX_LOG_RATIO = 20;

/**
 * One token's KL estimate and its derivative by logprob, with d = logprob - refLogprob:
 *
 *   k1 = d                 dk1 = 1
 *   k2 = d^2 / 2           dk2 = d
 *   k3 = e^-d - 1 + d      dk3 = 1 - e^-d
 *
 * As numbers k1 and k3 are unbiased and k2 is not. As a loss term on samples of pi itself it is the other way round: the
 * gradient of E_pi[log pi / pi_ref] is E_pi[d grad log pi], which is k2's gradient; k1's expected gradient is zero (it
 * only adds noise: use it in the reward), and k3's is that of the reverse divergence KL(pi_ref, pi). GRPO's loss has k3
 * (arXiv 2402.03300 Eq. 4). Reference: verl core_algos.py `kl_penalty`, OpenRLHF `compute_approx_kl`; both clip the
 * values to +-10 besides.
 */
export function klEstimate(
  estimator: KlEstimator,
  logprob: number,
  refLogprob: number,
): { kl: number; dLogprob: number } {
  const d = logprob - refLogprob;
  if (estimator === 'k1') return { kl: d, dLogprob: 1 };
  if (estimator === 'k2') return { kl: (d * d) / 2, dLogprob: d };
  const bounded = Math.min(MAX_LOG_RATIO, Math.max(-MAX_LOG_RATIO, d));
  return { kl: Math.exp(-bounded) - 1 + bounded, dLogprob: bounded === d ? 1 - Math.exp(-d) : 0 };
}

/** Logprobs of one response under the policy and the reference, each [T], and its mask. */
export interface KlInput {
  logprobs_T: ArrayLike<number>;
  refLogprobs_T: ArrayLike<number>;
  mask_T: ArrayLike<number>;
  estimator: KlEstimator;
}

/** KL estimate of each token the model wrote, 0 on tool tokens, [T]. */
export function klOfTokens({ logprobs_T, refLogprobs_T, mask_T, estimator }: KlInput): Float64Array {
  return Float64Array.from(mask_T, (m, t) =>
    m === 0 ? 0 : klEstimate(estimator, logprobs_T[t] as number, refLogprobs_T[t] as number).kl,
  );
}

/** k_i: the KL estimate of a whole response, the sum over the tokens the model wrote. */
export function klOfResponse(input: KlInput): number {
  return klOfTokens(input).reduce((sum, kl) => sum + kl, 0);
}

/**
 * KL in the reward, r_t <- r_t - beta kl_t for every token the model wrote (PPO for language models, arXiv 1909.08593
 * Eq. 2; RLSP's per-token reward), [T] -> [T]. The policy's logprobs are those at sampling time, so nothing is differentiated.
 */
export function klPenalisedRewards(rewards_T: ArrayLike<number>, beta: number, input: KlInput): Float64Array {
  const kl_T = klOfTokens(input);
  return kl_T.map((kl, t) => (rewards_T[t] as number) - beta * kl);
}

/**
 * T1's on-policy KL normalisation (arXiv 2501.11651): each response's KL enters its reward relative to the
 * other samples of its prompt, so that the penalty pays no group as a whole. [G] and [G] -> [G].
 *
 *   R_i <- R_i - beta (k_i - 1/(G-1) sum_{j != i} k_j)
 */
export function klNormalisedRewards(rewards_G: ArrayLike<number>, kl_G: ArrayLike<number>, beta: number): Float64Array {
  return leaveOneOut(kl_G).map((k, i) => (rewards_G[i] as number) - beta * k);
}

/** How the weight of a KL penalty moves over a run. */
export type KlSchedule =
  | { kind: 'off' }
  | { kind: 'fixed'; coefficient: number }
  /** From `start` to `end` by half a cosine over `iterations`, then `end`. */
  | { kind: 'cosine'; start: number; end: number; iterations: number };

/**
 * beta at an iteration (counted from 0). Cosine (STILL-3, arXiv 2503.04548 section 3.1: 1e-3 to 0; its code spans 500 steps):
 *
 *   beta_i = end + (start - end) (1 + cos(pi min(i / N, 1))) / 2
 */
export function klCoefficientAt(schedule: KlSchedule, iteration: number): number {
  switch (schedule.kind) {
    case 'off':
      return 0;
    case 'fixed':
      return schedule.coefficient;
    case 'cosine': {
      const { start, end, iterations } = schedule;
      return end + ((start - end) * (1 + Math.cos(Math.PI * Math.min(iteration / iterations, 1)))) / 2;
    }
  }
}
