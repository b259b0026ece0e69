import type { Response, Verdict } from '../tasks/index.js';
import { averageAtK, majority, mean, passAtK, problemMean, type Interval } from './stats.js';

/** One completion of an evaluation. */
export interface EvalRow {
  problemId: string;
  /** Number of the sample within its problem, from 0. */
  sample: number;
  prompt: string;
  answer?: string;
  text: string;
  /** Generated tokens, the end token included. */
  tokens: number;
  stopReason: Response['stopReason'];
  verdict: Verdict;
  /** Requests behind this answer; a method makes several. Absent: one. */
  calls?: number;
  /** Prompt tokens of all of them. */
  promptTokens?: number;
  /** Tokens are characters / 4, since the server told none. */
  estimated?: boolean;
  /** Every call with prompt, thoughts and answer, where a method made the answer. */
  transcript?: object;
  /** Why there is no answer: the request failed. Such a sample is no verdict, or wrong where the prompt was too long. */
  error?: { fault: string; message: string };
}

/** Samples by outcome; the five kinds add up to n k. */
export interface OutcomeCounts {
  correct: number;
  /** An answer was found and is not right. */
  wrong: number;
  /** The response ended by itself without an answer that could be found. */
  noAnswer: number;
  /** Cut off by the token limit and not correct. */
  truncated: number;
  /** `endpoint`: the server gave no reply, however often it was asked. */
  noVerdict: { gold: number; grader: number; response: number; endpoint: number };
}

export interface EvalSummary {
  /** avg@k: mean over problems of the share of correct samples; no_verdict counts as wrong. */
  accuracy: number;
  /** 95 % interval of accuracy, clustered by problem. */
  ci95: Interval;
  /** Problems. */
  n: number;
  /** Samples a problem. */
  k: number;
  counts: OutcomeCounts;
  /** Correct among the samples that got a verdict; null when none did. */
  accuracyOfVerdicts: number | null;
  /** Share of samples that keep the task's format; null for a task without one. */
  wellFormed: number | null;
  /** Mean generated tokens; null when there is no such sample. */
  meanTokens: { right: number | null; wrong: number | null };
  /** Unbiased pass@j, mean over problems, for j = 1, 2, 4, ... and k. */
  passAtK: Record<string, number>;
  /** 95 % intervals of them, clustered by problem. */
  passAtKCi95: Record<string, Interval>;
  /** maj@k, mean over problems. */
  majAtK: number;
  majAtKCi95: Interval;
  /** Tokens over all samples and calls; `perSample`: mean generated. */
  tokens: { prompt: number; generated: number; perSample: number; calls: number };
  /** Shares of all samples. */
  truncatedShare: number;
  noAnswerShare: number;
  /** Share of correct samples of each problem, [n], for paired comparisons. */
  shares: number[];
}

const meanOrNull = (values: readonly number[]): number | null => (values.length === 0 ? null : mean(values));
const isCorrect = ({ verdict }: EvalRow): boolean => verdict.status === 'correct';

function countOutcomes(rows: readonly EvalRow[]): OutcomeCounts {
  const counts: OutcomeCounts = {
    correct: 0,
    wrong: 0,
    noAnswer: 0,
    truncated: 0,
    noVerdict: { gold: 0, grader: 0, response: 0, endpoint: 0 },
  };
  for (const { verdict, stopReason, error } of rows) {
    if (verdict.status === 'correct') counts.correct++;
    else if (verdict.status === 'no_verdict' && error) counts.noVerdict.endpoint++;
    else if (verdict.status === 'no_verdict') counts.noVerdict[verdict.cause ?? 'grader']++;
    else if (stopReason === 'length') counts.truncated++;
    else if (verdict.extracted === undefined) counts.noAnswer++;
    else counts.wrong++;
  }
  return counts;
}

/** 1, 2, 4, ... below k, and k. */
function ladder(k: number): number[] {
  const steps = Array.from({ length: Math.ceil(Math.log2(k)) }, (_, i) => 2 ** i);
  return [...steps.filter((step) => step < k), k];
}

function tokenUse(rows: readonly EvalRow[]): EvalSummary['tokens'] {
  const sum = (of: (row: EvalRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const generated = sum(({ tokens }) => tokens);
  return {
    prompt: sum(({ promptTokens }) => promptTokens ?? 0),
    generated,
    perSample: generated / rows.length,
    calls: sum(({ calls }) => calls ?? 1),
  };
}

/**
 * Sums up graded samples.
 * @param rows k rows for each problem, those of one problem next to each other.
 * @param same whether two extracted answers are the same answer, for maj@k.
 * @throws RangeError when the rows are not whole problems of k samples.
 */
export function summarize(
  rows: readonly EvalRow[],
  { k, same }: { k: number; same?: (a: string, b: string) => boolean },
): EvalSummary {
  if (rows.length === 0 || rows.length % k !== 0) throw new RangeError(`${rows.length} rows are no problems of ${k}`);
  const rows_PG = Array.from({ length: rows.length / k }, (_, p) => rows.slice(p * k, (p + 1) * k));
  const correct_P = rows_PG.map((group) => group.filter(isCorrect).length);
  const shares = correct_P.map((correct) => correct / k);
  const judged = rows.filter(({ verdict }) => verdict.status !== 'no_verdict');
  const formed = rows.map(({ verdict }) => verdict.wellFormed).filter((value) => value !== undefined);
  const { value: accuracy, ci95 } = averageAtK(shares, k);
  const votes_PG = rows_PG.map((group) =>
    group.map((row) => ({ answer: row.verdict.extracted, correct: isCorrect(row) })),
  );
  const counts = countOutcomes(rows);
  const pass_K = ladder(k).map((j) => [j, problemMean(correct_P.map((c) => passAtK(k, c, j)))] as const);
  const majority_P = problemMean(votes_PG.map((votes) => majority(votes, same)));
  return {
    accuracy,
    ci95,
    n: rows_PG.length,
    k,
    counts,
    accuracyOfVerdicts: meanOrNull(judged.map((row) => Number(isCorrect(row)))),
    wellFormed: meanOrNull(formed.map(Number)),
    meanTokens: {
      right: meanOrNull(rows.filter(isCorrect).map(({ tokens }) => tokens)),
      wrong: meanOrNull(rows.filter((row) => !isCorrect(row)).map(({ tokens }) => tokens)),
    },
    passAtK: Object.fromEntries(pass_K.map(([j, { value }]) => [j, value])),
    passAtKCi95: Object.fromEntries(pass_K.map(([j, { ci95: interval }]) => [j, interval])),
    majAtK: majority_P.value,
    majAtKCi95: majority_P.ci95,
    tokens: tokenUse(rows),
    truncatedShare: counts.truncated / rows.length,
    noAnswerShare: counts.noAnswer / rows.length,
    shares,
  };
}
