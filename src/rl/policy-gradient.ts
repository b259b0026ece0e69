import { HoneError } from '../core/index.js';
import type { Datum, ForwardBackwardResult, TrainableModel } from '../engine/types.js';
import { tokenWeights } from './aggregation.js';
import { isRight } from './attempt.js';
import { needsOldLogprobs, trainingTemperature, type RlConfig } from './config.js';
import { nllWeights, policyLoss, truncatedImportanceWeights, type PolicyLossOptions } from './losses.js';
import { datumOf, onModelTokens, type PlannedUpdate, type Sequence } from './sequences.js';

/** What the gradient of one update depends on besides its sequences. */
export interface GradientOptions {
  config: RlConfig;
  /** beta of the KL in the loss at this iteration; 0: none. */
  klCoefficient: number;
  /** The policy is what the old logprobs are of: ratios are 1, whatever the forward pass yields. */
  ratioOne: boolean;
  /** Sequences of the update that were left out and count in the S of the aggregation `constant`; default 0. */
  filtered?: number;
}

export interface PolicyGradient extends ForwardBackwardResult {
  /** The sequences that were computed, in the order of `outputs`. */
  active: Sequence[];
}

/**
 * Forward and backward over the sequences of one update; the gradient stays in the model. Sequences that add exactly
 * nothing count in every N and are not computed. @returns undefined when there is nothing to compute.
 */
export async function accumulatePolicyGradient(
  policy: TrainableModel,
  sequences: readonly Sequence[],
  options: GradientOptions,
): Promise<PolicyGradient | undefined> {
  const { config, filtered = 0 } = options;
  const lengths_S = sequences.map(({ length }) => length);
  const leftOut = Array<number>(filtered).fill(0);
  const weights_S = tokenWeights(config.aggregation, [...lengths_S, ...leftOut], config.maxTokens);
  const nll_S = nllWeights(
    lengths_S,
    sequences.map(({ attempt }) => isRight(attempt)),
  );
  const active = sequences.filter((sequence) => matters(sequence, options));
  if (active.length === 0) return undefined;
  const index = new Map(sequences.map((sequence, s) => [sequence, s]));
  const datums = active.map((sequence) => {
    const s = index.get(sequence) as number;
    return policyDatum(sequence, weights_S[s] as number, nll_S[s] as number, options);
  });
  const loss = policyLoss(lossOptions(options), { ratioOne: options.ratioOne });
  const result = await policy.forwardBackward(datums, loss, { temperature: trainingTemperature(config) });
  return { ...result, active };
}

/** The loss of the configuration (src/rl/losses/policy-loss.ts). */
function lossOptions({ config, klCoefficient }: GradientOptions): PolicyLossOptions {
  const { kind, clipLow, clipHigh, dualClip, entropyBonus, positiveNll } = config.loss;
  const inLoss = config.kl.placement === 'loss' && klCoefficient !== 0;
  return {
    surrogate: kind === 'policy-gradient' ? 'reinforce' : kind,
    ...{ clipLow, clipHigh, dualClip, entropyBonus, positiveNll },
    importanceWeights: config.pipeline.importanceCap !== null,
    kl: inLoss ? { estimator: config.kl.estimator, coefficient: klCoefficient } : null,
  };
}

/**
 * Whether the sequence has a gradient: an advantage other than 0, or a term of the loss that asks for none (entropy bonus,
 * KL, imitation of right answers).
 */
export function matters({ attempt }: Sequence, { config, klCoefficient }: Omit<GradientOptions, 'ratioOne'>): boolean {
  const { loss, kl } = config;
  if (loss.entropyBonus !== 0 || (kl.placement === 'loss' && klCoefficient !== 0)) return true;
  if (loss.positiveNll !== 0 && isRight(attempt)) return true;
  return attempt.advantages?.some((A) => A !== 0) ?? attempt.advantage !== 0;
}

/** The vectors that the loss reads, and no others. */
function policyDatum(sequence: Sequence, weight: number, nll: number, options: GradientOptions): Datum {
  const { refLogprobs } = sequence;
  const { loss, kl, pipeline } = options.config;
  const vectors: Record<string, ArrayLike<number>> = {
    weight: onModelTokens(sequence, weight),
    advantage: advantagesOf(sequence),
  };
  if (!options.ratioOne && loss.kind !== 'policy-gradient') vectors['oldLogprob'] = oldLogprobsOf(sequence);
  if (pipeline.importanceCap !== null) vectors['isWeight'] = importanceWeights(sequence, pipeline.importanceCap);
  if (kl.placement === 'loss' && options.klCoefficient !== 0 && refLogprobs) vectors['refLogprob'] = refLogprobs;
  if (loss.positiveNll !== 0) vectors['nllWeight'] = onModelTokens(sequence, nll);
  return datumOf(sequence, vectors);
}

function advantagesOf({ attempt, mask }: Sequence): ArrayLike<number> {
  return attempt.advantages ?? new Float32Array(mask).map((m) => m * attempt.advantage);
}

/** log pi_old: recorded by the trainer, or what the sampler reported. */
export function oldLogprobsOf({ oldLogprobs, attempt }: Sequence): Float32Array {
  const old = oldLogprobs ?? attempt.modelLogprobs;
  if (old) return old;
  throw new HoneError('usage', 'the sampler reports no logprobs to take the ratio against', {
    where: 'oldLogprobs',
    hint: 'Set oldLogprobs=trainer.',
  });
}

function importanceWeights(sequence: Sequence, cap: number): Float32Array {
  const { attempt } = sequence;
  if (attempt.modelLogprobs) return truncatedImportanceWeights(oldLogprobsOf(sequence), attempt.modelLogprobs, cap);
  throw new HoneError('usage', 'the sampler reports no logprobs to correct against', {
    where: 'pipeline.importanceCap',
    hint: 'Set pipeline.importanceCap=null.',
  });
}

/** Sequences whose old logprobs a forward pass has to find before the updates, given that the first update finds its own. */
export function withoutOldLogprobs(
  plan: readonly PlannedUpdate[],
  options: Omit<GradientOptions, 'ratioOne'>,
): Sequence[] {
  const { config } = options;
  if (config.oldLogprobs !== 'trainer' || !needsOldLogprobs(config)) return [];
  const upFront = config.pipeline.importanceCap !== null ? plan : plan.slice(1);
  return upFront
    .flatMap(({ sequences }) => sequences)
    .filter((sequence) => matters(sequence, options) && sequence.oldLogprobs === undefined);
}
