import { HoneError } from '../core/index.js';
import { mergeMetrics, metricValues } from '../engine/metrics.js';
import type { OptimizerConfig } from '../engine/optimizer.js';
import { promptResponseDatum } from '../engine/sequence.js';
import type { ForwardBackwardResult, Metric, TrainableModel } from '../engine/types.js';
import { monteCarloReturns, outcomeRewards } from './advantages.js';
import { valueLoss } from './losses.js';
import { optimise, type UpdateState } from './optimise.js';
import { chunk } from './sequences.js';
import { valueMetrics } from './value-metrics.js';

/** A response that a critic is asked about. */
export interface CriticResponse {
  prompt: Int32Array;
  tokens: Int32Array;
  /** 1 on the tokens of the model; absent: all are. */
  mask?: ArrayLike<number>;
}

/** With what it is taught: the return of every token, [tokens]. */
export interface TaughtResponse extends CriticResponse {
  returns: ArrayLike<number>;
  /** V before the updates, for a clipped loss; absent: asked of the critic before the first update. */
  oldValues?: ArrayLike<number>;
}

export interface ValueLossOptions {
  /** Values are held within this of the old ones (src/rl/losses/value-loss.ts); null: off. */
  valueClip: number | null;
  /** The loss is multiplied by this. */
  lossCoefficient: number;
}

export interface CriticUpdateOptions extends ValueLossOptions {
  optimizer: OptimizerConfig;
  /** Passes over the responses. */
  epochs: number;
  /** Updates in a row with a non-finite loss or gradient before it gives up. */
  maxSkippedUpdates: number;
}

export interface TrainCriticOptions extends CriticUpdateOptions {
  sequencesPerUpdate: number;
}

/** Where the critic's optimiser stands; trainers keep it in their state. */
export type CriticClock = UpdateState;

/** Values of the state before each token of each response, [tokens] each. */
export async function valuesOf(critic: TrainableModel, responses: readonly CriticResponse[]): Promise<Float32Array[]> {
  if (responses.length === 0) return [];
  const { values } = await critic.forward(
    responses.map(({ prompt, tokens }) => promptResponseDatum(prompt, tokens, {})),
  );
  return responses.map(({ prompt }, i) => {
    const values_T = values?.[i];
    if (!values_T)
      throw new HoneError('usage', `a ${critic.role} has no values`, { hint: 'Open a model of role critic.' });
    return values_T.slice(prompt.length - 1);
  });
}

/** {@link updateCriticOn} of the responses in their order, `sequencesPerUpdate` at a time. */
export async function trainCritic(
  critic: TrainableModel,
  responses: readonly TaughtResponse[],
  options: TrainCriticOptions,
  clock: CriticClock,
  progressOfRun: number,
): Promise<Record<string, number>> {
  const taught = options.valueClip === null ? responses : await withOldValues(critic, responses);
  return updateCriticOn(critic, chunk(taught, options.sequencesPerUpdate), options, clock, progressOfRun);
}

/**
 * Updates the critic on the responses of each update of a plan ({@link accumulateValueGradient}). Advances `clock`.
 * @param plan responses by update; with a value clip they hold their old values
 * @param progressOfRun share of the planned run that is done, for the schedule
 * @returns `value.*` of the loss, `value.skipped` (a share), and `value.grad_norm`, a mean over the updates applied
 * @throws HoneError('numeric') after `maxSkippedUpdates` in a row
 */
export async function updateCriticOn(
  critic: TrainableModel,
  plan: readonly (readonly TaughtResponse[])[],
  options: CriticUpdateOptions,
  clock: CriticClock,
  progressOfRun: number,
): Promise<Record<string, number>> {
  const parts: Record<string, Metric>[] = [];
  for (let epoch = 0; epoch < options.epochs; epoch++)
    for (const update of plan) {
      parts.push(await updateOnce(critic, update, options, clock, progressOfRun));
      if (clock.skippedInARow >= options.maxSkippedUpdates) throw diverged(options);
    }
  return metricValues(mergeMetrics(parts));
}

async function withOldValues(critic: TrainableModel, responses: readonly TaughtResponse[]): Promise<TaughtResponse[]> {
  const unknown = responses.filter(({ oldValues }) => !oldValues);
  const values = await valuesOf(critic, unknown);
  const found = new Map(unknown.map((response, i) => [response, values[i] as Float32Array]));
  return responses.map((response) => ({ ...response, oldValues: response.oldValues ?? found.get(response) }));
}

async function updateOnce(
  critic: TrainableModel,
  responses: readonly TaughtResponse[],
  options: CriticUpdateOptions,
  clock: CriticClock,
  progressOfRun: number,
): Promise<Record<string, Metric>> {
  const { lossSum, metrics } = await accumulateValueGradient(critic, responses, options);
  const { gradNorm, skipped } = await optimise(critic, options.optimizer, lossSum, clock, progressOfRun);
  const counted = { ...metrics, 'value.skipped': { sum: Number(skipped), count: 1 } };
  return skipped ? counted : { ...counted, 'value.grad_norm': { sum: gradNorm, count: 1 } };
}

/**
 * Forward and backward of one update: lossCoefficient times the mean value loss over the tokens of the model in
 * `responses`, 1/N folded into their weights. The gradient stays in the critic.
 */
export function accumulateValueGradient(
  critic: TrainableModel,
  responses: readonly TaughtResponse[],
  { valueClip, lossCoefficient }: ValueLossOptions,
): Promise<ForwardBackwardResult> {
  const masks = responses.map(({ tokens, mask }) =>
    Float32Array.from(tokens, (_, t) => ((mask?.[t] ?? 1) === 0 ? 0 : 1)),
  );
  const count = masks.reduce((sum, mask) => sum + mask.reduce((n, m) => n + m, 0), 0);
  const data = responses.map(({ prompt, tokens, returns, oldValues }, i) =>
    promptResponseDatum(prompt, tokens, {
      weight: (masks[i] as Float32Array).map((m) => (m * lossCoefficient) / Math.max(1, count)),
      return: returns,
      ...(valueClip === null || !oldValues ? {} : { oldValue: oldValues }),
    }),
  );
  return critic.forwardBackward(data, valueLoss(valueClip));
}

function diverged({ maxSkippedUpdates, optimizer: { lr } }: CriticUpdateOptions): HoneError {
  return new HoneError('numeric', `${maxSkippedUpdates} updates of the critic in a row were not finite`, {
    where: 'critic.optimizer',
    hint: `Lower critic.optimizer.lr (now ${lr}), or set critic.optimizer.gradClipNorm and more warmupUpdates.`,
  });
}

/** A prompt and what a policy made of it, graded. */
export interface GradedGroup {
  prompt: Int32Array;
  attempts: readonly { tokens: Int32Array; mask?: ArrayLike<number>; reward: number }[];
}

/** Monte-Carlo targets: with gamma 1, the final reward on every token of a response. Responses without a token are left out. */
export function monteCarloTargets(groups: readonly GradedGroup[], gamma: number): TaughtResponse[][] {
  return groups.map(({ prompt, attempts }) =>
    attempts
      .filter(({ tokens }) => tokens.length > 0)
      .map(({ tokens, mask, reward }) => {
        const mask_T = mask ?? new Uint8Array(tokens.length).fill(1);
        const rewards_T = outcomeRewards(reward, mask_T);
        return { prompt, tokens, mask: mask_T, returns: monteCarloReturns({ rewards_T, mask_T, gamma }) };
      }),
  );
}

/** How well the critic knows responses it has not learned from: see src/rl/value-metrics.ts for the numbers. */
export async function evaluateCritic(
  critic: TrainableModel,
  responses_PG: readonly (readonly TaughtResponse[])[],
): Promise<Record<string, number>> {
  const values = await valuesOf(critic, responses_PG.flat());
  let next = 0;
  return valueMetrics(
    responses_PG.map((responses) =>
      responses.map(({ returns, mask }) => ({ values: values[next++] as Float32Array, returns, mask })),
    ),
  );
}
