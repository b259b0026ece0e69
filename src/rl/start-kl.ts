import type { TrainableModel } from '../engine/types.js';
import type { RlConfig } from './config.js';
import { klOfTokens } from './kl.js';
import { logprobsOf, recordOldLogprobs } from './reference.js';
import type { Sequence } from './sequences.js';

/**
 * The starting policy, to measure how far the run has gone; undefined where that is not asked for. A reference that stays
 * where it is serves as well.
 */
export async function openStart(
  policy: TrainableModel,
  reference: TrainableModel | undefined,
  { monitors, kl, curriculum }: RlConfig,
): Promise<TrainableModel | undefined> {
  if (!monitors.startKl) return undefined;
  const stays = kl.reference.kind === 'fixed' && !curriculum.stages?.some((stage) => stage.resetReference);
  return reference && stays ? reference : policy.cloneFrozen();
}

/**
 * `kl.start`: KL(pi_old || pi_start) of the policy before the updates of an iteration, by k3 over the trained tokens, at
 * the training temperature. Tokens whose old logprobs nobody knows yet get them from a forward pass.
 */
export async function startKl(
  start: TrainableModel,
  policy: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
): Promise<Record<string, number>> {
  const unknown = sequences.filter(({ oldLogprobs, attempt }) => !oldLogprobs && !attempt.modelLogprobs);
  await recordOldLogprobs(policy, unknown, config);
  const start_ST = await logprobsOf(start, sequences, config);
  let sum = 0;
  let tokens = 0;
  sequences.forEach(({ oldLogprobs, attempt, mask: mask_T, length }, s) => {
    const logprobs_T = (oldLogprobs ?? attempt.modelLogprobs) as Float32Array;
    const refLogprobs_T = start_ST[s] as Float32Array;
    for (const kl of klOfTokens({ logprobs_T, refLogprobs_T, mask_T, estimator: 'k3' })) sum += kl;
    tokens += length;
  });
  return tokens > 0 ? { 'kl.start': sum / tokens } : {};
}
