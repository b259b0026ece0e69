import { peakMemoryBytes } from '../core/index.js';
import { metricValues } from '../engine/metrics.js';
import type { MetricsLine } from '../runs/types.js';
import { modelLength, type Attempt, type Group } from './attempt.js';
import { correctCount, decided, type Collected } from './collect.js';
import { missingRewardAccount } from './missing-reward.js';
import { idleShare, keywordShares } from './monitors.js';
import { modelText } from './rewards.js';
import type { UpdateReport } from './updates.js';

/**
 * The metrics line of one iteration. Counts and means over samples are taken before any filtering, over everything the
 * iteration sampled; `clip.*`, `ratio.max`, `agreement.*`, `loss` and `grad_norm` over what it trained on. A number that
 * has nothing to be taken over (no wrong answer, no applied update) or is not finite is left out of the line.
 * @param seconds wall-clock of the iteration.
 */
export function iterationMetrics(
  iteration: number,
  collected: Collected,
  report: UpdateReport,
  seconds: number,
): MetricsLine {
  const attempts = collected.sampled.flatMap((group) => group.attempts);
  const graded = attempts.filter((attempt) => attempt.verdict.status !== 'no_verdict');
  return finiteOnly({
    iteration,
    accuracy: correctCount(attempts) / attempts.length,
    'reward.mean': mean(graded.map((attempt) => attempt.reward)),
    ...componentMeans(graded),
    ...missingRewardAccount(attempts),
    'truncated.share': mean(attempts.map(({ stopReason }) => Number(stopReason === 'length'))),
    samples: attempts.length,
    'samples.trained': decided(collected)
      .flatMap((group) => group.attempts)
      .filter((attempt) => attempt.trained).length,
    ...groupCounts(collected, iteration),
    ...lengths(attempts),
    well_formed: mean(attempts.flatMap(({ verdict }) => verdict.wellFormed ?? []).map(Number)),
    ...keywordShares(attempts.map(modelText)),
    'entropy.estimate': entropyEstimate(attempts),
    ...updateMetrics(report),
    cannot_learn: collected.diagnosis?.cause,
    timing: timingOf(collected, report, seconds),
  });
}

/** Mean of each part of the rewards, over the graded attempts that have it; left out where the reward is its base alone. */
function componentMeans(graded: readonly Attempt[]): Record<string, number | undefined> {
  const names = new Set(graded.flatMap(({ components = {} }) => Object.keys(components)));
  if (names.size <= 1) return {};
  const valuesOf = (name: string) => graded.flatMap(({ components }) => components?.[name] ?? []);
  return Object.fromEntries([...names].sort().map((name) => [`reward.${name}`, mean(valuesOf(name))]));
}

/** JSON has no NaN or infinity; `skipped_updates` tells that a loss was not finite. */
function finiteOnly(line: MetricsLine): MetricsLine {
  const entries = Object.entries(line).filter(([, value]) => typeof value !== 'number' || Number.isFinite(value));
  return { ...Object.fromEntries(entries), iteration: line.iteration };
}

/**
 * `groups.effective`: share of prompts whose graded attempts do not all have the same score, before any filtering.
 * `groups.age`: how many iterations old the policy was that sampled what is trained, on average.
 */
function groupCounts(collected: Collected, iteration: number): Record<string, number | undefined> {
  const { sampled, kept, carried, left, batches } = collected;
  const same = sampled.filter(hasNoVariance);
  const age = kept.flatMap(({ sampledAfter }) => (sampledAfter === undefined ? [] : [iteration - 1 - sampledAfter]));
  const moved = carried.length + left.length > 0;
  return {
    'groups.total': sampled.length,
    'groups.no_variance': same.length,
    'groups.all_right': same.filter(({ attempts }) => correctCount(attempts) > 0).length,
    'groups.effective': sampled.length > 0 ? 1 - same.length / sampled.length : undefined,
    'groups.trained': decided(collected).filter((group) => group.attempts.some((attempt) => attempt.trained)).length,
    'groups.batches': batches,
    'groups.age': mean(age),
    ...(moved ? { 'groups.carried': carried.length, 'groups.left': left.length } : {}),
  };
}

/** All graded attempts of the group have the same score. */
function hasNoVariance({ attempts }: Group): boolean {
  const scores = attempts.filter(({ verdict }) => verdict.status !== 'no_verdict').map(({ verdict }) => verdict.score);
  return scores.length > 0 && scores.every((score) => score === scores[0]);
}

/** Tokens of a response, over all samples, over the right, the wrong and the truncated ones. */
function lengths(attempts: readonly Attempt[]): Record<string, number | undefined> {
  const meanLength = (of: readonly Attempt[]) => mean(of.map(modelLength));
  const byStatus = (status: string) => attempts.filter(({ verdict }) => verdict.status === status);
  return {
    'length.mean': meanLength(attempts),
    'length.correct': meanLength(byStatus('correct')),
    'length.wrong': meanLength(byStatus('wrong')),
    'length.truncated': meanLength(attempts.filter(({ stopReason }) => stopReason === 'length')),
    ...turns(attempts),
  };
}

/** Turns of the model and share of tool tokens, in a task with an environment. */
function turns(attempts: readonly Attempt[]): Record<string, number | undefined> {
  const played = attempts.flatMap(({ segments }) => (segments ? [segments] : []));
  if (played.length === 0) return {};
  return { 'turns.mean': mean(played.map((segments) => segments.filter(({ source }) => source === 'model').length)) };
}

/** Mean of -log p over sampled tokens: an unbiased estimate of the mean entropy of the sampling distribution, in nats. */
function entropyEstimate(attempts: readonly Attempt[]): number | undefined {
  let sum = 0;
  let tokens = 0;
  for (const attempt of attempts) {
    attempt.samplingLogprobs?.forEach((logprob) => (sum -= logprob)); // 0 at tool tokens
    tokens += attempt.samplingLogprobs ? modelLength(attempt) : 0;
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

/** Seconds by what they were spent on; `idle_share` is what sampling, grading and the models leave of the iteration. */
function timingOf({ timing }: Collected, report: UpdateReport, seconds: number): Record<string, number> {
  const rate = (tokens: number, seconds: number) => (seconds > 0 ? tokens / seconds : 0);
  const { spent } = report;
  const trained = spent ? [spent.forward, spent.backward, spent.optimizer] : [report.trainSeconds];
  return {
    iteration_s: seconds,
    sample_s: timing.sampleSeconds,
    grade_s: timing.gradeSeconds,
    train_s: report.trainSeconds,
    ...(spent ? { forward_s: spent.forward, backward_s: spent.backward, optimizer_s: spent.optimizer } : {}),
    idle_share: idleShare(seconds, [timing.sampleSeconds, timing.gradeSeconds, ...trained]),
    sample_tokens_per_s: rate(timing.sampledTokens, timing.sampleSeconds),
    train_tokens_per_s: rate(report.trainedTokens, report.trainSeconds),
    peak_memory_bytes: peakMemoryBytes(),
  };
}

function mean(values: readonly number[]): number | undefined {
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
}
