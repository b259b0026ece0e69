import { peakMemoryBytes } from '../core/index.js';
import { metricValues } from '../engine/metrics.js';
import type { MetricsLine } from '../runs/types.js';
import { correctCount, type Collected } from './collect.js';
import { missingRewardAccount } from './missing-reward.js';
import type { Attempt, Group } from './rollouts.js';
import type { UpdateReport } from './updates.js';

/**
 * The metrics line of one iteration. Counts and means over samples are taken before any filtering, over everything the
 * iteration sampled; `clip.*`, `ratio.max`, `agreement.*`, `loss` and `grad_norm` over what it trained on. A number that
 * has nothing to be taken over (no wrong answer, no applied update) or is not finite is left out of the line.
 */
export function iterationMetrics(iteration: number, collected: Collected, report: UpdateReport): MetricsLine {
  const attempts = collected.sampled.flatMap((group) => group.attempts);
  const graded = attempts.filter((attempt) => attempt.verdict.status !== 'no_verdict');
  return finiteOnly({
    iteration,
    accuracy: correctCount(attempts) / attempts.length,
    'reward.mean': mean(graded.map((attempt) => attempt.reward)),
    ...missingRewardAccount(attempts),
    samples: attempts.length,
    'samples.trained': attempts.filter((attempt) => attempt.trained).length,
    ...groupCounts(collected),
    ...lengths(attempts),
    well_formed: mean(attempts.flatMap(({ verdict }) => verdict.wellFormed ?? []).map(Number)),
    'entropy.estimate': entropyEstimate(attempts),
    ...updateMetrics(report),
    timing: timingOf(collected, report),
  });
}

/** JSON has no NaN or infinity; `skipped_updates` tells that a loss was not finite. */
function finiteOnly(line: MetricsLine): MetricsLine {
  const entries = Object.entries(line).filter(([, value]) => typeof value !== 'number' || Number.isFinite(value));
  return { ...Object.fromEntries(entries), iteration: line.iteration };
}

function groupCounts({ sampled, batches }: Collected): Record<string, number> {
  return {
    'groups.total': sampled.length,
    'groups.no_variance': sampled.filter(hasNoVariance).length,
    'groups.trained': sampled.filter((group) => group.attempts.some((attempt) => attempt.trained)).length,
    'groups.batches': batches,
  };
}

/** All graded attempts of the group have the same score. */
function hasNoVariance({ attempts }: Group): boolean {
  const scores = attempts.filter(({ verdict }) => verdict.status !== 'no_verdict').map(({ verdict }) => verdict.score);
  return scores.length > 0 && scores.every((score) => score === scores[0]);
}

/** Tokens of a response, over all samples and over the right and the wrong ones. */
function lengths(attempts: readonly Attempt[]): Record<string, number | undefined> {
  const meanLength = (status?: string) =>
    mean(attempts.filter((a) => status === undefined || a.verdict.status === status).map((a) => a.tokens.length));
  return { 'length.mean': meanLength(), 'length.correct': meanLength('correct'), 'length.wrong': meanLength('wrong') };
}

/** Mean of -log p over sampled tokens: an unbiased estimate of the mean entropy of the sampling distribution, in nats. */
function entropyEstimate(attempts: readonly Attempt[]): number | undefined {
  let sum = 0;
  let tokens = 0;
  for (const { samplingLogprobs } of attempts) {
    samplingLogprobs?.forEach((logprob) => (sum -= logprob));
    tokens += samplingLogprobs?.length ?? 0;
  }
  return tokens > 0 ? sum / tokens : undefined;
}

function updateMetrics(report: UpdateReport): Record<string, number | undefined> {
  return {
    ...metricValues(report.metrics),
    'agreement.mean_abs': report.agreement?.mean,
    'agreement.max_abs': report.agreement?.max,
    loss: report.loss,
    grad_norm: report.gradNorm,
    lr: report.lr,
    updates: report.updates,
    zero_gradient_updates: report.zeroGradient,
    skipped_updates: report.skipped,
    ...report.more,
  };
}

function timingOf({ timing }: Collected, report: UpdateReport): Record<string, number> {
  const rate = (tokens: number, seconds: number) => (seconds > 0 ? tokens / seconds : 0);
  return {
    sample_s: timing.sampleSeconds,
    grade_s: timing.gradeSeconds,
    train_s: report.trainSeconds,
    sample_tokens_per_s: rate(timing.sampledTokens, timing.sampleSeconds),
    train_tokens_per_s: rate(report.trainedTokens, report.trainSeconds),
    peak_memory_bytes: peakMemoryBytes(),
  };
}

function mean(values: readonly number[]): number | undefined {
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
}
