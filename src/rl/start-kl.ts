import type { TrainableModel } from '../engine/types.js';
import type { RlConfig } from './config.js';
import { klOfTokens } from './kl.js';
import { logprobsOf } from './reference.js';
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
 * the training temperature. Responses whose logprobs under it nobody knows yet get a forward pass, also those that older
 * weights sampled (lag 1, carried groups); what is found is not kept, so that the monitor changes nothing.
 * @param iterations done so far.
 */
export async function startKl(
  start: TrainableModel,
  policy: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
  iterations: number,
): Promise<Record<string, number>> {
  const logprobs_ST = await policyLogprobs(policy, sequences, config, iterations);
  const start_ST = await logprobsOf(start, sequences, config);
  let sum = 0;
  let tokens = 0;
  sequences.forEach(({ mask: mask_T, length }, s) => {
    const logprobs_T = logprobs_ST[s] as Float32Array;
    const refLogprobs_T = start_ST[s] as Float32Array;
    for (const kl of klOfTokens({ logprobs_T, refLogprobs_T, mask_T, estimator: 'k3' })) sum += kl;
    tokens += length;
  });
  return tokens > 0 ? { 'kl.start': sum / tokens } : {};
}

/** Logprobs under the policy of now. */
async function policyLogprobs(
  policy: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
  iterations: number,
): Promise<Float32Array[]> {
  const known = sequences.map(({ attempt, oldLogprobs, sampledAfter = iterations }) =>
    sampledAfter === iterations ? (oldLogprobs ?? attempt.modelLogprobs) : oldLogprobs,
  );
  const unknown = sequences.filter((_, s) => !known[s]);
  const found = await logprobsOf(policy, unknown, config);
  return known.map((logprobs_T) => logprobs_T ?? (found.shift() as Float32Array));
}
