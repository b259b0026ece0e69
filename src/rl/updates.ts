import { HoneError } from '../core/index.js';
import { mergeMetrics } from '../engine/metrics.js';
import { learningRate, optimStepOf } from '../engine/optimizer.js';
import { promptResponseDatum } from '../engine/sequence.js';
import type { Datum, Metric, TrainableModel } from '../engine/types.js';
import { tokenWeights } from './aggregation.js';
import { modelLength, type Attempt, type Group } from './attempt.js';
import { trainingTemperature, type RlConfig } from './config.js';
import { clippedSurrogate, surrogateAtRatioOne } from './losses.js';

/** One response on its way through the updates of an iteration. */
export interface Sequence {
  prompt: Int32Array;
  attempt: Attempt;
  /** log pi_old of each response token; filled in before the first use. */
  oldLogprobs: Float32Array | undefined;
}

export interface UpdateState {
  /** Updates done since the start of the run; the schedule's clock. */
  updates: number;
  /** Updates skipped in a row up to now. */
  skippedInARow: number;
}

/** What the updates of one iteration did. */
export interface UpdateReport {
  updates: number;
  skipped: number;
  zeroGradient: number;
  loss: number | undefined;
  gradNorm: number | undefined;
  lr: number | undefined;
  metrics: Record<string, Metric>;
  /** |sampler logprob - trainer logprob| on the tokens of the first update. */
  agreement: { mean: number; max: number } | undefined;
  trainSeconds: number;
  trainedTokens: number;
  /** True when `maxSkippedUpdates` in a row were skipped: the run has to stop. */
  diverged: boolean;
}

/** The sequences of the kept groups, in updates: whole groups for `updatesPerIteration`, runs of `sequencesPerUpdate` otherwise. */
export function planUpdates(groups: readonly Group[], config: RlConfig): Sequence[][] {
  const byGroup = groups.map(({ prompt, attempts }) =>
    attempts
      .filter((attempt) => modelLength(attempt) > 0 && !(config.overlong.filter && attempt.stopReason === 'length'))
      .map((attempt): Sequence => ({ prompt, attempt, oldLogprobs: undefined })),
  );
  const size = config.sequencesPerUpdate;
  const plan = size === null ? split(byGroup, config.updatesPerIteration ?? 1) : chunk(byGroup.flat(), size);
  return plan.filter((sequences) => sequences.length > 0);
}

/** `parts` runs of whole groups whose sizes differ by at most one group. */
function split<T>(groups: readonly T[][], parts: number): T[][] {
  const bound = (i: number) => Math.round((i * groups.length) / parts);
  return Array.from({ length: parts }, (_, i) => groups.slice(bound(i), bound(i + 1)).flat());
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** What the updates of one iteration share. */
interface Updating {
  policy: TrainableModel;
  config: RlConfig;
  state: UpdateState;
  /** Share of the planned run that is done, for the schedule. */
  progressOfRun: number;
  report: UpdateReport;
  /** Sums over the applied updates. */
  applied: { count: number; loss: number; gradNorm: number };
}

/**
 * Runs the updates of one iteration on `policy`; advances `state`.
 *
 * With `oldLogprobs: trainer` the old logprobs are those of the weights before the first update. The first update's
 * sequences get them from its own forward pass (its ratios are 1), only the others need a pass of their own.
 */
export async function runUpdates(
  policy: TrainableModel,
  plan: readonly Sequence[][],
  config: RlConfig,
  state: UpdateState,
  progressOfRun: number,
): Promise<UpdateReport> {
  const started = performance.now();
  const report: UpdateReport = {
    ...{ updates: 0, skipped: 0, zeroGradient: 0, trainedTokens: 0, trainSeconds: 0, diverged: false },
    ...{ loss: undefined, gradNorm: undefined, lr: undefined, agreement: undefined, metrics: {} },
  };
  const applied = { count: 0, loss: 0, gradNorm: 0 };
  const updating: Updating = { policy, config, state, progressOfRun, report, applied };
  if (config.oldLogprobs === 'trainer') await recordOldLogprobs(policy, plan.slice(1).flat(), config);
  for (let epoch = 0; epoch < config.epochs; epoch++)
    for (const sequences of plan) {
      if (report.diverged) break;
      await applyGradient(await accumulateGradient(sequences, updating), updating);
    }
  if (applied.count > 0) {
    report.loss = applied.loss / applied.count;
    report.gradNorm = applied.gradNorm / applied.count;
  }
  report.trainSeconds = (performance.now() - started) / 1000;
  return report;
}

/** Forward and backward over the sequences of one update. @returns the loss. */
async function accumulateGradient(
  sequences: readonly Sequence[],
  { policy, config, report }: Updating,
): Promise<number> {
  const weights_S = tokenWeights(
    config.aggregation,
    sequences.map(({ attempt }) => modelLength(attempt)),
    config.maxTokens,
  );
  const active = sequences
    .map((sequence, i) => ({ sequence, weight: weights_S[i] as number }))
    .filter(({ sequence }) => matters(sequence, config));
  if (active.length === 0) return 0;
  const first = report.updates === 0;
  const atRatioOne = first && config.oldLogprobs === 'trainer';
  const loss = atRatioOne ? surrogateAtRatioOne(config.loss.entropyBonus) : clippedSurrogate(config.loss);
  const datums = active.map(({ sequence, weight }) => datumOf(sequence, weight, atRatioOne));
  const { lossSum, metrics, outputs } = await policy.forwardBackward(datums, loss, {
    temperature: trainingTemperature(config),
  });
  report.metrics = mergeMetrics([report.metrics, metrics]);
  report.trainedTokens += datums.reduce((sum, datum) => sum + datum.input.length, 0);
  const logprobs = active.map(({ sequence }, i) => responsePart(outputs.logprobs[i], sequence));
  if (first) report.agreement = agreementOf(active, logprobs);
  active.forEach(({ sequence }, i) => {
    if (atRatioOne) sequence.oldLogprobs = logprobs[i];
    sequence.attempt.trained = true;
  });
  return lossSum;
}

/** A sequence of advantage 0 adds exactly nothing, unless there is an entropy bonus: it counts in N and is not computed. */
function matters({ attempt }: Sequence, config: RlConfig): boolean {
  const credited = attempt.advantages?.some((a) => a !== 0) ?? attempt.advantage !== 0;
  return credited || config.loss.entropyBonus !== 0;
}

/** One step of the optimiser, or none when the loss or the gradient is not finite. */
async function applyGradient(lossSum: number, updating: Updating): Promise<void> {
  const { policy, config, state, progressOfRun, report, applied } = updating;
  const lr = learningRate(config.optimizer, state.updates, progressOfRun);
  const finite = Number.isFinite(lossSum);
  if (!finite) await policy.zeroGrad();
  const step = finite ? await policy.optimStep(optimStepOf(config.optimizer, lr)) : { gradNorm: NaN, skipped: true };
  state.updates++;
  report.updates++;
  report.lr = lr;
  if (step.skipped) {
    report.skipped++;
    state.skippedInARow++;
    report.diverged = state.skippedInARow >= config.maxSkippedUpdates;
    return;
  }
  state.skippedInARow = 0;
  if (step.gradNorm === 0) report.zeroGradient++;
  applied.count++;
  applied.loss += lossSum;
  applied.gradNorm += step.gradNorm;
}

function datumOf({ prompt, attempt, oldLogprobs }: Sequence, weight: number, atRatioOne: boolean): Datum {
  const R = attempt.tokens.length;
  const old = oldLogprobs ?? attempt.modelLogprobs;
  if (!old && !atRatioOne)
    throw new HoneError('usage', 'the sampler reports no logprobs to take the ratio against', {
      where: 'oldLogprobs',
      hint: 'Set oldLogprobs=trainer.',
    });
  return promptResponseDatum(prompt, attempt.tokens, {
    weight: Float32Array.from({ length: R }, (_, t) => weight * (attempt.mask?.[t] ?? 1)),
    advantage: attempt.advantages ? Float32Array.from(attempt.advantages) : new Float32Array(R).fill(attempt.advantage),
    oldLogprob: atRatioOne || !old ? new Float32Array(R) : old,
  });
}

/** A forward pass at the current weights for the sequences that will be trained. */
async function recordOldLogprobs(
  policy: TrainableModel,
  sequences: readonly Sequence[],
  config: RlConfig,
): Promise<void> {
  const needed = sequences.filter((sequence) => matters(sequence, config));
  if (needed.length === 0) return;
  const datums = needed.map(({ prompt, attempt }) => promptResponseDatum(prompt, attempt.tokens, {}));
  const { logprobs } = await policy.forward(datums, { temperature: trainingTemperature(config) });
  needed.forEach((sequence, i) => (sequence.oldLogprobs = responsePart(logprobs[i], sequence)));
}

function responsePart(values_T: Float32Array | undefined, { prompt, attempt }: Sequence): Float32Array {
  if (values_T?.length !== prompt.length + attempt.tokens.length - 1)
    throw new TypeError('the engine returned logprobs of another length than the datum');
  return values_T.slice(prompt.length - 1);
}

function agreementOf(
  active: readonly { sequence: Sequence }[],
  logprobs: readonly Float32Array[],
): UpdateReport['agreement'] {
  let sum = 0;
  let max = 0;
  let tokens = 0;
  active.forEach(({ sequence }, i) => {
    const sampler_R = sequence.attempt.modelLogprobs;
    sampler_R?.forEach((logprob, t) => {
      if (sequence.attempt.mask?.[t] === 0) return;
      const difference = Math.abs(logprob - (logprobs[i]?.[t] ?? NaN));
      sum += difference;
      max = Math.max(max, difference);
      tokens++;
    });
  });
  return tokens > 0 ? { mean: sum / tokens, max } : undefined;
}
