/** |o|: the tokens of a response that the model wrote; tool tokens (mask 0) count in no length. [T] -> number. */
export function lengthOfMask(mask_T: ArrayLike<number>): number {
  let length = 0;
  for (let t = 0; t < mask_T.length; t++) if (mask_T[t] !== 0) length++;
  return length;
}

/** The same advantage for every token the model wrote, 0 for the others: number and [T] -> [T]. */
export function spread(advantage: number, mask_T: ArrayLike<number>): Float64Array {
  return Float64Array.from(mask_T, (m) => (m === 0 ? 0 : advantage));
}

/**
 * The reward R of a whole response as per-token rewards: R on the last token the model wrote, 0 elsewhere. Nothing is
 * left of R where the model wrote no token. Number and [T] -> [T].
 */
export function outcomeRewards(reward: number, mask_T: ArrayLike<number>): Float64Array {
  const rewards_T = new Float64Array(mask_T.length);
  const last = Array.from(mask_T, (m) => m !== 0).lastIndexOf(true);
  if (last >= 0) rewards_T[last] = reward;
  return rewards_T;
}
