import { mergeMetrics, metricValues } from '../engine/metrics.js';
import { promptResponseDatum } from '../engine/sequence.js';
import type { Metric, TrainableModel } from '../engine/types.js';
import type { RlConfig } from './config.js';
import { valueLoss } from './losses.js';
import { optimise, type UpdateState } from './optimise.js';
import { datumOf, onModelTokens, split, type Sequence } from './sequences.js';

/**
 * A forward pass of the critic: V of the state before each token, and after the last one of truncated responses where the
 * run takes them to go on.
 */
export async function recordValues(
  critic: TrainableModel,
  sequences: readonly Sequence[],
  { critic: { bootstrapTruncated } }: RlConfig,
): Promise<void> {
  if (sequences.length === 0) return;
  const goesOn = ({ attempt }: Sequence) => bootstrapTruncated && attempt.stopReason === 'length';
  const datums = sequences.map((sequence) => {
    const { prompt, attempt } = sequence;
    return promptResponseDatum(prompt, goesOn(sequence) ? Int32Array.of(...attempt.tokens, 0) : attempt.tokens, {});
  });
  const { values } = await critic.forward(datums);
  sequences.forEach((sequence, i) => {
    const first = sequence.prompt.length - 1;
    const end = first + sequence.attempt.tokens.length;
    const values_T = values?.[i];
    if (!values_T || values_T.length !== datums[i]?.input.length)
      throw new TypeError('the engine returned no values of a critic');
    sequence.values = values_T.slice(first, end);
    sequence.bootstrapValue = goesOn(sequence) ? values_T[end] : undefined;
  });
}

export interface CriticReport {
  /** `critic.*`, for the metrics line. */
  metrics: Record<string, number>;
  /** True when `maxSkippedUpdates` in a row were skipped. */
  diverged: boolean;
}

/** The critic's updates of one iteration, each over a run of the sequences; advances `state`. */
export async function updateCritic(
  critic: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
  state: UpdateState,
  progressOfRun: number,
): Promise<CriticReport> {
  const { optimizer, updatesPerIteration } = config.critic;
  const merged: Record<string, Metric>[] = [];
  let gradNorm = 0;
  let applied = 0;
  let lr = 0;
  let diverged = false;
  for (const part of split(sequences, updatesPerIteration)) {
    if (diverged) break;
    const { lossSum, metrics } = await accumulateValueGradient(critic, part, config);
    const step = await optimise(critic, optimizer, lossSum, state, progressOfRun);
    merged.push(metrics);
    lr = step.lr;
    applied += step.skipped ? 0 : 1;
    gradNorm += step.skipped ? 0 : step.gradNorm;
    diverged = state.skippedInARow >= config.maxSkippedUpdates;
  }
  if (merged.length === 0) return { metrics: {}, diverged };
  const values = Object.entries(metricValues(mergeMetrics(merged)));
  return {
    metrics: {
      ...Object.fromEntries(values.map(([name, value]) => [name.replace(/^value\./, 'critic.'), value])),
      ...(applied > 0 ? { 'critic.grad_norm': gradNorm / applied } : {}),
      'critic.lr': lr,
      'critic.updates': merged.length,
      'critic.skipped_updates': merged.length - applied,
    },
    diverged,
  };
}

/**
 * Forward and backward of lossCoefficient times the mean over the update's tokens of the value loss
 * (src/rl/losses/value-loss.ts).
 */
export function accumulateValueGradient(
  critic: TrainableModel,
  sequences: readonly Sequence[],
  { critic: c }: RlConfig,
) {
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
  const datums = sequences.map((sequence) => {
    const { values, returns } = sequence;
    if (!returns || !values) throw new TypeError('the critic needs values and returns to learn from');
    const weight = onModelTokens(sequence, c.lossCoefficient / tokens);
    return datumOf(sequence, { weight, return: returns, oldValue: values });
  });
  return critic.forwardBackward(datums, valueLoss(c.valueClip));
}
