/**
 * Log-ratios are cut to [-20, 20] before they are exponentiated, and carry no gradient beyond
 * (verl/trainer/ppo/core_algos.py): a token that moved that far would otherwise overflow.
 */
const MAX_LOG_RATIO = 20;

export interface ClipBounds {
  /** eps_low: the ratio is cut at 1 - clipLow. */
  clipLow: number;
  /** eps_high: the ratio is cut at 1 + clipHigh. */
  clipHigh: number;
  /** c > 1: for negative advantages the loss is at most -c A (dual clip, arXiv 1912.09729 Eq. 5); null: off. */
  dualClip: number | null;
}

/** What one token contributes: its loss, the derivative by its logprob, and which bound acts. */
export interface TokenLoss {
  loss: number;
  dLogprob: number;
  active: 'none' | 'low' | 'high' | 'dual';
}

/**
 * The policy-gradient part of a loss (to be minimised), with A the advantage and r = pi(o_t) / pi_old(o_t):
 *
 *   clip                 -min(r A, clip(r) A), optionally with the dual clip     PPO, DAPO: {@link clippedSurrogateToken}
 *   importance-sampling  -r A
 *   reinforce            -A log pi(o_t)
 *   cispo                -sg(clip(r)) A log pi(o_t)                              {@link cispoToken}
 *   gspo                 -min(s A, clip(s) A) with one ratio s a response        {@link gspoToken}
 */
export const SURROGATES = ['clip', 'importance-sampling', 'reinforce', 'cispo', 'gspo', 'gspo-token'] as const;
export type Surrogate = (typeof SURROGATES)[number];

/**
 * The clipped surrogate of one token with advantage A and ratio r = pi(o_t) / pi_old(o_t) (to be minimised):
 *
 *   l = -min(r A, clip(r, 1 - eps_low, 1 + eps_high) A)         PPO, arXiv 1707.06347 Eq. 7; split bounds: DAPO Eq. 8
 *   l = min(l, -c A)  for A < 0                                 dual clip
 *
 * dl/dlogprob = -r A where no bound acts and 0 where one does. At the bound itself (a tie) the derivative is that of the
 * unclipped side, as with torch.clamp.
 */
export function clippedSurrogateToken(A: number, logRatio: number, bounds: ClipBounds): TokenLoss {
  const bounded = boundedLogRatio(logRatio);
  const r = Math.exp(bounded);
  if (A > 0 && r > 1 + bounds.clipHigh) return { loss: -(1 + bounds.clipHigh) * A, dLogprob: 0, active: 'high' };
  if (A < 0 && r < 1 - bounds.clipLow) return { loss: -(1 - bounds.clipLow) * A, dLogprob: 0, active: 'low' };
  if (A < 0 && bounds.dualClip !== null && r > bounds.dualClip)
    return { loss: -bounds.dualClip * A, dLogprob: 0, active: 'dual' };
  return { loss: -r * A, dLogprob: bounded === logRatio ? -r * A : 0, active: 'none' };
}

/**
 * CISPO (MiniMax-M1, arXiv 2506.13585 Eq. 4 and 5): the ratio is a clipped weight without gradient, so that no token's
 * gradient is lost to the clip. The paper has no lower bound: clipLow = 1.
 *
 *   l = -sg(clip(r, 1 - eps_low, 1 + eps_high)) A log pi(o_t),    dl/dlogprob = -clip(r, ...) A
 *
 * Reference: verl core_algos.py `compute_policy_loss_cispo`.
 */
export function cispoToken(A: number, logprob: number, logRatio: number, bounds: ClipBounds): TokenLoss {
  const r = Math.exp(boundedLogRatio(logRatio));
  const weight = Math.min(1 + bounds.clipHigh, Math.max(1 - bounds.clipLow, r));
  const active = r > weight ? 'high' : r < weight ? 'low' : 'none';
  return { loss: -weight * A * logprob, dLogprob: -weight * A, active };
}

/** log s = 1/|y| sum_t log(pi(y_t) / pi_old(y_t)) over the tokens with a weight (GSPO, arXiv 2507.18071 Eq. 7). */
export function sequenceLogRatio(logRatio_T: ArrayLike<number>, weight_T: ArrayLike<number>): number {
  let sum = 0;
  let length = 0;
  for (let t = 0; t < weight_T.length; t++) {
    if (weight_T[t] === 0) continue;
    sum += logRatio_T[t] as number;
    length++;
  }
  return length === 0 ? 0 : sum / length;
}

/**
 * GSPO (arXiv 2507.18071 Eq. 5 and 7): PPO's clip on the response's ratio s, which all its tokens share. Weights
 * 1 / (S |y_i|) (`sequence-mean-token-mean`) give the paper's mean over responses.
 *
 *   gspo         l_i = -min(s A, clip(s) A)        dl_i/dlogprob_t = -s A / |y| where no bound acts: every token moves s
 *   gspo-token   l_t = -min(s_t A_t, clip(s_t) A_t),  s_t = sg(s) pi(y_t) / sg(pi(y_t)), Eq. 14: dl_t/dlogprob_t = -s A_t
 *
 * With one advantage and one weight a response both have the same gradient. Reference: verl core_algos.py
 * `compute_policy_loss_gspo` (the token form).
 */
export function gspoToken(A: number, log_s: number, bounds: ClipBounds): TokenLoss {
  return clippedSurrogateToken(A, log_s, bounds);
}

function boundedLogRatio(logRatio: number): number {
  return Math.min(MAX_LOG_RATIO, Math.max(-MAX_LOG_RATIO, logRatio));
}
