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

type Judged = Pick<Verdict, 'status' | 'cause' | 'extracted' | 'wellFormed'>;

/**
 * Whether the grader of these verdicts says if it found an answer: it names one somewhere, or refuses a format and has
 * called nothing right without naming it. Of another grader nobody knows which wrong samples had none.
 */
export function namesAnswers(verdicts: readonly Pick<Judged, 'status' | 'extracted' | 'wellFormed'>[]): boolean {
  if (verdicts.some(({ extracted }) => extracted !== undefined)) return true;
  return (
    verdicts.some(({ wellFormed }) => wellFormed === false) && !verdicts.some(({ status }) => status === 'correct')
  );
}

/**
 * Samples by reason, every reason present; keys are prefixed `missing.`. Where the grader names no answers
 * ({@link namesAnswers}), `missing.no_answer` is absent and its samples are among the wrong ones.
 */
export function missingRewardAccount(
  samples: readonly { verdict: Judged; stopReason: StopReason }[],
): Partial<Record<`missing.${MissingReason}`, number>> {
  const account = Object.fromEntries(MISSING_REASONS.map((reason) => [`missing.${reason}`, 0])) as Record<
    `missing.${MissingReason}`,
    number
  >;
  for (const { verdict, stopReason } of samples) {
    const reason = missingReason(verdict, stopReason);
    if (reason) account[`missing.${reason}`]++;
  }
  if (namesAnswers(samples.map(({ verdict }) => verdict))) return account;
  const { 'missing.no_answer': unknown, ...known } = account;
  return { ...known, 'missing.wrong': known['missing.wrong'] + unknown };
}
