import { promptResponseDatum } from '../engine/sequence.js';
import type { TrainableModel } from '../engine/types.js';
import type { RlConfig } from './config.js';
import { updateCriticOn, type TaughtResponse } from './critic.js';
import type { UpdateState } from './optimise.js';
import { split, type Sequence } from './sequences.js';
import { valueMetrics } from './value-metrics.js';

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

/**
 * The critic's updates of one iteration, `critic.updatesPerIteration` of them where there are as many sequences; advances
 * `state`. @returns `critic.*` for the metrics line: of the updates, and how well the values from before them explain the
 * returns (src/rl/value-metrics.ts). @throws HoneError('numeric') after `maxSkippedUpdates` in a row.
 */
export async function updateCritic(
  critic: TrainableModel,
  sequences_PG: readonly (readonly Sequence[])[],
  config: RlConfig,
  state: UpdateState,
  progressOfRun: number,
): Promise<Record<string, number>> {
  const taught_PG = sequences_PG.map((sequences) => sequences.map(taught));
  const responses = taught_PG.flat();
  if (responses.length === 0) return {};
  const { optimizer, updatesPerIteration, valueClip, lossCoefficient } = config.critic;
  const before = state.updates;
  const metrics = await updateCriticOn(
    critic,
    split(responses, updatesPerIteration),
    { optimizer, valueClip, lossCoefficient, epochs: 1, maxSkippedUpdates: config.maxSkippedUpdates },
    state,
    progressOfRun,
  );
  const named = Object.entries(metrics).map(([name, value]) => [name.replace(/^value\./, 'critic.'), value]);
  return {
    ...(Object.fromEntries(named) as Record<string, number>),
    'critic.updates': state.updates - before,
    ...valueMetrics(taught_PG.map((group) => group.map((r) => ({ ...r, values: r.oldValues })))),
  };
}

/** A sequence as the critic is taught it. */
export function taught({
  prompt,
  attempt,
  mask,
  values,
  returns,
}: Sequence): TaughtResponse & { oldValues: Float32Array } {
  if (!values || !returns) throw new TypeError('the critic needs values and returns to learn from');
  return { prompt, tokens: attempt.tokens, mask, returns, oldValues: values };
}
