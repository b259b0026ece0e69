import type { Verdict } from './types.js';

type Details = Partial<Omit<Verdict, 'status' | 'reason'>>;

/** A correct verdict of score 1. */
export function correct(extracted: string, reason: string, details: Details = {}): Verdict {
  return { status: 'correct', score: 1, extracted, reason, ...details };
}

/** A wrong verdict of score 0. */
export function wrong(reason: string, details: Details = {}): Verdict {
  return { status: 'wrong', score: 0, reason, ...details };
}

/** No verdict: the gold answer or the grader failed, not the response. */
export function noVerdict(cause: 'gold' | 'grader', reason: string, details: Details = {}): Verdict {
  return { status: 'no_verdict', score: 0, cause, reason, ...details };
}
