import type { StopReason } from '../engine/types.js';
import type { Verdict } from '../tasks/types.js';

/** Why a sample that is not correct earned no reward. Each sample has one reason, the first that applies in this order. */
export const MISSING_REASONS = [
  'no_verdict.gold',
  'no_verdict.grader',
  'no_verdict.response',
  'truncated',
  'no_answer',
  'wrong',
] as const;
export type MissingReason = (typeof MISSING_REASONS)[number];

/**
 * The reason of one sample, or undefined when it is correct. A verdict without a cause counts against the grader. A
 * truncated sample that is wrong counts as truncated even when an answer was found in it, since it was cut before it
 * could finish.
 */
export function missingReason(
  verdict: Pick<Verdict, 'status' | 'cause' | 'extracted'>,
  stopReason: StopReason,
): MissingReason | undefined {
  if (verdict.status === 'correct') return undefined;
  if (verdict.status === 'no_verdict') return `no_verdict.${verdict.cause ?? 'grader'}`;
  if (stopReason === 'length') return 'truncated';
  return verdict.extracted === undefined ? 'no_answer' : 'wrong';
}

/** Samples by reason, every reason present; keys are prefixed `missing.`. */
export function missingRewardAccount(
  samples: readonly { verdict: Pick<Verdict, 'status' | 'cause' | 'extracted'>; stopReason: StopReason }[],
): Record<`missing.${MissingReason}`, number> {
  const account = Object.fromEntries(MISSING_REASONS.map((reason) => [`missing.${reason}`, 0])) as Record<
    `missing.${MissingReason}`,
    number
  >;
  for (const { verdict, stopReason } of samples) {
    const reason = missingReason(verdict, stopReason);
    if (reason) account[`missing.${reason}`]++;
  }
  return account;
}
