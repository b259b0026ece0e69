/**
 * Truncated importance weights for responses that a sampler drew with other numerics, or other weights, than the trainer's
 * old policy (F. Yao et al., https://fengyao.notion.site/off-policy-rl; verl rollout correction and OpenRLHF `tis`),
 * [T] and [T] -> [T], the vector `isWeight`:
 *
 *   w_t = min(pi_old(o_t) / pi_sampler(o_t), C)
 *
 * They multiply the surrogate and have no gradient. The surrogate's own ratio stays pi / pi_old.
 */
export function truncatedImportanceWeights(
  oldLogprobs_T: ArrayLike<number>,
  samplerLogprobs_T: ArrayLike<number>,
  cap: number,
): Float32Array {
  return Float32Array.from(oldLogprobs_T, (old, t) => Math.min(Math.exp(old - (samplerLogprobs_T[t] as number)), cap));
}
