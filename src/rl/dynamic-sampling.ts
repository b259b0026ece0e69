/**
 * DAPO's dynamic sampling (arXiv 2503.14476 section 3.2, Algorithm 1; verl-recipe dapo/dapo_ray_trainer.py): prompts whose
 * samples are all right or all wrong carry no signal, so they are dropped and more prompts are sampled until an
 * iteration has its number. Groups beyond that number are thrown away, or carried over to the next iteration.
 */

/** A group is kept when 0 < accuracy < 1, counted on raw correctness and over samples that have a verdict. */
export function isMixed(correct: number, graded: number): boolean {
  return correct > 0 && correct < graded;
}

/** Rewards closer than this are equal: shaped rewards of equal responses may differ by rounding. */
export const REWARD_TOLERANCE = 1e-9;

/** By the metric `reward`: not all rewards of the group are equal. */
export function hasSpread(rewards_G: readonly number[], tolerance = REWARD_TOLERANCE): boolean {
  return rewards_G.length > 0 && Math.max(...rewards_G) - Math.min(...rewards_G) > tolerance;
}

export interface DynamicSamplingLimits {
  /** Groups an iteration trains on. */
  wanted: number;
  /** Generation batches an iteration may take; 0: no limit, as in the reference code. */
  maxBatches: number;
}

/** What to do with `kept` groups after `batches` generation batches. */
export function nextMove(kept: number, batches: number, limits: DynamicSamplingLimits): 'train' | 'generate' | 'limit' {
  if (kept >= limits.wanted) return 'train';
  return limits.maxBatches > 0 && batches >= limits.maxBatches ? 'limit' : 'generate';
}
