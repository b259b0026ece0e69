import { mergeMetrics } from '../engine/metrics.js';
import type { Metric, ModelTime, TrainableModel } from '../engine/types.js';
import type { RlConfig } from './config.js';
import { optimise, type UpdateState } from './optimise.js';
import { accumulatePolicyGradient, withoutOldLogprobs, type PolicyGradient } from './policy-gradient.js';
import { recordOldLogprobs } from './reference.js';
import { responsePart, type PlannedUpdate, type Sequence } from './sequences.js';

export type { UpdateState } from './optimise.js';
export { planUpdates, type PlannedUpdate, type Sequence } from './sequences.js';

/** What the updates of one iteration did. */
export interface UpdateReport {
  updates: number;
  skipped: number;
  zeroGradient: number;
  loss: number | undefined;
  gradNorm: number | undefined;
  lr: number | undefined;
  metrics: Record<string, Metric>;
  /** Of the critic, the reference and the advantages, by their names in the metrics line. */
  more: Record<string, number>;
  /** |sampler logprob - trainer logprob| on the tokens of the first update. */
  agreement: { mean: number; max: number } | undefined;
  trainSeconds: number;
  /** How much of it the models spent on what; undefined: the engine does not tell. */
  spent: ModelTime | undefined;
  trainedTokens: number;
  /** True when `maxSkippedUpdates` in a row were skipped: the run has to stop. */
  diverged: boolean;
}

export function emptyReport(): UpdateReport {
  return {
    ...{ updates: 0, skipped: 0, zeroGradient: 0, trainedTokens: 0, trainSeconds: 0, diverged: false },
    ...{ loss: undefined, gradNorm: undefined, lr: undefined, agreement: undefined, metrics: {}, more: {} },
    spent: undefined,
  };
}

/** What the updates of one iteration share. */
export interface UpdateOptions {
  config: RlConfig;
  /** Advanced by every update. */
  state: UpdateState;
  /** Share of the planned run that is done, for the schedule. */
  progressOfRun: number;
  /** beta of the KL at this iteration. */
  klCoefficient: number;
}

/**
 * Runs the updates of one iteration on `policy`.
 *
 * With `oldLogprobs: trainer` the old logprobs are those of the weights before the first update. The first update's
 * sequences get them from its own forward pass (its ratios are 1), only the others need a pass of their own.
 */
export async function runUpdates(
  policy: TrainableModel,
  plan: readonly PlannedUpdate[],
  options: UpdateOptions,
): Promise<UpdateReport> {
  const { config } = options;
  const started = performance.now();
  const report = emptyReport();
  const applied = { count: 0, loss: 0, gradNorm: 0 };
  await recordOldLogprobs(policy, withoutOldLogprobs(plan, options), config);
  for (let epoch = 0; epoch < config.epochs; epoch++)
    for (const { sequences, filtered } of plan) {
      if (report.diverged) break;
      const ratioOne = report.updates === 0 && config.oldLogprobs === 'trainer';
      const gradient = await accumulatePolicyGradient(policy, sequences, { ...options, filtered, ratioOne });
      if (gradient) recordGradient(gradient, ratioOne, report);
      await applyGradient(policy, gradient?.lossSum ?? 0, options, report, applied);
    }
  if (applied.count > 0) {
    report.loss = applied.loss / applied.count;
    report.gradNorm = applied.gradNorm / applied.count;
  }
  report.trainSeconds = (performance.now() - started) / 1000;
  return report;
}

/** What a forward and backward pass showed; after one at ratio 1 its logprobs are the old ones. */
function recordGradient({ active, outputs, metrics }: PolicyGradient, ratioOne: boolean, report: UpdateReport): void {
  report.metrics = mergeMetrics([report.metrics, metrics]);
  report.trainedTokens += active.reduce(
    (sum, { prompt, attempt }) => sum + prompt.length + attempt.tokens.length - 1,
    0,
  );
  const logprobs = active.map((sequence, i) => responsePart(outputs.logprobs[i], sequence));
  if (report.updates === 0) report.agreement = agreementOf(active, logprobs);
  active.forEach((sequence, i) => {
    if (ratioOne) sequence.oldLogprobs ??= logprobs[i];
    sequence.attempt.trained = true;
  });
}

async function applyGradient(
  policy: TrainableModel,
  lossSum: number,
  { config, state, progressOfRun }: UpdateOptions,
  report: UpdateReport,
  applied: { count: number; loss: number; gradNorm: number },
): Promise<void> {
  const { lr, gradNorm, skipped } = await optimise(policy, config.optimizer, lossSum, state, progressOfRun);
  report.updates++;
  report.lr = lr;
  report.diverged = state.skippedInARow >= config.maxSkippedUpdates;
  if (skipped) report.skipped++;
  else {
    if (gradNorm === 0) report.zeroGradient++;
    applied.count++;
    applied.loss += lossSum;
    applied.gradNorm += gradNorm;
  }
}

function agreementOf(sequences: readonly Sequence[], logprobs: readonly Float32Array[]): UpdateReport['agreement'] {
  let sum = 0;
  let max = 0;
  let tokens = 0;
  sequences.forEach(({ attempt, mask }, i) => {
    attempt.modelLogprobs?.forEach((logprob, t) => {
      if (mask[t] === 0) return;
      const difference = Math.abs(logprob - (logprobs[i]?.[t] ?? NaN));
      sum += difference;
      max = Math.max(max, difference);
      tokens++;
    });
  });
  return tokens > 0 ? { mean: sum / tokens, max } : undefined;
}
