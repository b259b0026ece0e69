import { z } from 'zod';

/** Mean and spread of all rewards of a run so far; plain numbers, stored in checkpoints. */
export const runningMomentsSchema = z.strictObject({
  count: z.number().int().min(0),
  mean: z.number(),
  /** Sum of squared deviations from the mean. */
  m2: z.number().min(0),
});
export type RunningMoments = z.infer<typeof runningMomentsSchema>;

export const EMPTY_MOMENTS: RunningMoments = { count: 0, mean: 0, m2: 0 };

/**
 * The moments after one more batch, by the pairwise rule of T. Chan, G. Golub and R. LeVeque (1979): equal to the moments
 * of all values at once up to rounding, in any order.
 *
 *   delta = mean_b - mean_a;  mean = mean_a + delta n_b / n;  m2 = m2_a + m2_b + delta^2 n_a n_b / n
 */
export function updateMoments(moments: RunningMoments, values: ArrayLike<number>): RunningMoments {
  const batch = Array.from(values);
  if (batch.length === 0) return moments;
  const mean_b = batch.reduce((sum, x) => sum + x, 0) / batch.length;
  const m2_b = batch.reduce((sum, x) => sum + (x - mean_b) ** 2, 0);
  const n = moments.count + batch.length;
  const delta = mean_b - moments.mean;
  return {
    count: n,
    mean: moments.mean + (delta * batch.length) / n,
    m2: moments.m2 + m2_b + (delta ** 2 * moments.count * batch.length) / n,
  };
}

/**
 * (x - mean) / std, clipped to +-clip (RLSP: running reward normalisation, clip 10). std is the unbiased one; until it is
 * above 0 (one value, or all equal) only the mean is taken off.
 */
export function normaliseReward(x: number, moments: RunningMoments, clip: number): number {
  const std = deviation(moments);
  const normalised = std > 0 ? (x - moments.mean) / std : x - moments.mean;
  return Math.min(clip, Math.max(-clip, normalised));
}

/** What {@link normaliseReward} multiplies by, before it clips: 1 / std. */
export function normalisingScale(moments: RunningMoments): number {
  const std = deviation(moments);
  return std > 0 ? 1 / std : 1;
}

function deviation({ count, m2 }: RunningMoments): number {
  return count > 1 ? Math.sqrt(m2 / (count - 1)) : 0;
}
