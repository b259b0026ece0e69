import type { TrainableModel } from '../engine/types.js';
import { trainingTemperature, type RlConfig } from './config.js';
import { klCoefficientAt } from './kl.js';
import { datumOf, responsePart, type Sequence } from './sequences.js';

/**
 * The model that the KL is taken to, as a copy of the policy at this moment; undefined where there is no KL. A moving
 * average needs weights of its own, so it holds an adapter folded in.
 */
export async function openReference(policy: TrainableModel, { kl }: RlConfig): Promise<TrainableModel | undefined> {
  if (kl.placement === 'off') return undefined;
  return policy.cloneFrozen({ merged: kl.reference.kind === 'averaged' });
}

/**
 * Moves the reference after an iteration:
 *
 *   replaced   theta_ref <- theta                                 every M iterations
 *   averaged   theta_ref <- keep theta_ref + (1 - keep) theta     every M iterations (T1's dynamic anchor, arXiv 2501.11651)
 *
 * @param iteration iterations done, this one included.
 */
export async function moveReference(
  reference: TrainableModel,
  policy: TrainableModel,
  { kind, every, keep }: RlConfig['kl']['reference'],
  iteration: number,
): Promise<void> {
  if (kind === 'fixed' || iteration % every !== 0) return;
  if (kind === 'replaced') await reference.copyFrom(policy);
  else await reference.lerpFrom(policy, keep);
}

/** beta of the iteration after `done` of `iterations`; 0 where there is no KL. */
export function klCoefficient({ kl, iterations }: RlConfig, done: number): number {
  if (kl.placement === 'off') return 0;
  const { coefficient, finalCoefficient } = kl;
  return kl.schedule === 'constant'
    ? klCoefficientAt({ kind: 'fixed', coefficient }, done)
    : klCoefficientAt({ kind: 'cosine', start: coefficient, end: finalCoefficient, iterations }, done);
}

/** A forward pass of the policy for the old logprobs of the sequences that have none yet. */
export async function recordOldLogprobs(
  policy: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
): Promise<void> {
  const missing = sequences.filter(({ oldLogprobs }) => oldLogprobs === undefined);
  const logprobs = await logprobsOf(policy, missing, config);
  missing.forEach((sequence, i) => (sequence.oldLogprobs = logprobs[i]));
}

/** A forward pass of the reference. */
export async function recordReferenceLogprobs(
  reference: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
): Promise<void> {
  const logprobs = await logprobsOf(reference, sequences, config);
  sequences.forEach((sequence, i) => (sequence.refLogprobs = logprobs[i]));
}

/** Logprobs of the responses under a model, at the training temperature. */
export async function logprobsOf(
  model: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
): Promise<Float32Array[]> {
  if (sequences.length === 0) return [];
  const datums = sequences.map((sequence) => datumOf(sequence, {}));
  const { logprobs } = await model.forward(datums, { temperature: trainingTemperature(config) });
  return sequences.map((sequence, i) => responsePart(logprobs[i], sequence));
}
