import { HoneError } from '../core/index.js';
import { mergeMetrics, metricValues } from '../engine/metrics.js';
import type { OptimizerConfig } from '../engine/optimizer.js';
import { promptResponseDatum } from '../engine/sequence.js';
import type { ForwardBackwardResult, Metric, TrainableModel } from '../engine/types.js';
import { monteCarloReturns, outcomeRewards } from './advantages.js';
import { valueLoss } from './losses.js';
import { optimise, type UpdateState } from './optimise.js';
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

export interface TrainCriticOptions extends ValueLossOptions {
  optimizer: OptimizerConfig;
  sequencesPerUpdate: number;
  /** Passes over the responses. */
  epochs: number;
  /** Updates in a row with a non-finite loss or gradient before it gives up. */
  maxSkippedUpdates: number;
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

/**
 * Updates the critic on the responses in their order, `sequencesPerUpdate` at a time
 * ({@link accumulateValueGradient}). Advances `clock`.
 * @param progressOfRun share of the planned run that is done, for the schedule
 * @returns `value.*` of the loss, `value.skipped` (a share), and `value.grad_norm`, a mean over the updates applied
 * @throws HoneError('numeric') after `maxSkippedUpdates` in a row
 */
export async function trainCritic(
  critic: TrainableModel,
  responses: readonly TaughtResponse[],
  options: TrainCriticOptions,
  clock: CriticClock,
  progressOfRun: number,
): Promise<Record<string, number>> {
  const taught = options.valueClip === null ? responses : await withOldValues(critic, responses);
  const parts: Record<string, Metric>[] = [];
  for (let epoch = 0; epoch < options.epochs; epoch++)
    for (let from = 0; from < taught.length; from += options.sequencesPerUpdate) {
      const update = taught.slice(from, from + options.sequencesPerUpdate);
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
  options: TrainCriticOptions,
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

function diverged({ maxSkippedUpdates, optimizer: { lr } }: TrainCriticOptions): HoneError {
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

export interface PretrainCriticOptions extends TrainCriticOptions {
  critic: TrainableModel;
  /** Fresh graded rollouts of the policy, which does not change meanwhile. @param round from 0 */
  collect(round: number): Promise<readonly GradedGroup[]>;
  /** Rollouts of the same policy that the critic is measured on and never taught. */
  heldOut: readonly GradedGroup[];
  /** Discount; VAPO and VC-PPO: 1, with lambda 1. */
  gamma: number;
  /** Rounds of collecting and teaching at the most. */
  rounds: number;
  /** Stop once this much of the held-out variance is explained; null: after all rounds. */
  stopAtExplainedVariance: number | null;
  /** Told after every round. */
  onRound?: (round: number, metrics: Record<string, number>) => void;
}

export interface PretrainedCritic {
  rounds: number;
  updates: number;
  stoppedBy: 'explained variance' | 'rounds';
  /** On the held-out rollouts, at the end. */
  metrics: Record<string, number>;
}

/**
 * Value pretraining: the critic learns the Monte-Carlo returns of a fixed policy, until it explains enough of the variance
 * of held-out ones or its rounds are over (VC-PPO, arXiv 2503.01491; VAPO, arXiv 2504.05118 section 4.1). The policy is
 * not given to this function, and so cannot move.
 *
 * Where those papers start the critic from a reward model, `critic.init=policy` starts it from the policy's body with a
 * head of zero: pretraining then has to teach what a reward model would bring.
 */
export async function pretrainCritic(options: PretrainCriticOptions): Promise<PretrainedCritic> {
  const { critic, gamma, rounds, stopAtExplainedVariance: enough } = options;
  const clock: CriticClock = { updates: 0, skippedInARow: 0 };
  const heldOut = monteCarloTargets(options.heldOut, gamma);
  let metrics = await evaluateCritic(critic, heldOut);
  for (let round = 0; round < rounds; round++) {
    const responses = monteCarloTargets(await options.collect(round), gamma).flat();
    const learned = await trainCritic(critic, responses, options, clock, round / rounds);
    metrics = await evaluateCritic(critic, heldOut);
    options.onRound?.(round, { ...learned, ...metrics });
    const reached = metrics['critic.explained_variance'] ?? -Infinity;
    if (enough !== null && reached >= enough)
      return { rounds: round + 1, updates: clock.updates, stoppedBy: 'explained variance', metrics };
  }
  return { rounds, updates: clock.updates, stoppedBy: 'rounds', metrics };
}
