import { mean, RandomStream, studentT95, variance, Z95 } from '../core/index.js';

export { mean, studentT95 };

/**
 * Statistics of an evaluation: n problems, k samples each. Samples of one problem are alike, so the problem is the unit
 * of every interval (Miller, "Adding Error Bars to Evals", 2024, section 2.2).
 */

export type Interval = readonly [low: number, high: number];

/**
 * Wilson's score interval for a proportion (Wilson 1927), inside [0, 1] also at 0 and n successes.
 * @param successes 0..n, need not be whole (an effective count). @param quantile two-sided; default 1.96 for 95 %.
 * @throws RangeError when n <= 0 or successes is outside 0..n.
 */
export function wilson(successes: number, n: number, quantile = Z95): Interval {
  if (!(n > 0) || !(successes >= 0 && successes <= n))
    throw new RangeError(`wilson: ${successes} successes of ${n} make no proportion`);
  const p = successes / n;
  const z2 = quantile * quantile;
  const centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (quantile / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  return [successes === 0 ? 0 : Math.max(0, centre - half), successes === n ? 1 : Math.min(1, centre + half)];
}

export interface Estimate {
  value: number;
  ci95: Interval;
}

/**
 * avg@k: mean over problems of the share of right samples, with a 95 % interval clustered by problem.
 * The variance of that mean is var(shares) / Q (paper 16 C). From it comes the effective number of independent samples
 * n* = p (1 - p) Q / var(shares), and the interval is Wilson's with n* in place of n and Student's quantile (the
 * effective-sample-size Wilson interval of survey statistics: Franco et al. 2019), which keeps to [0, 1] and has width at
 * p = 0 and 1. n* is at most 2 Q k (a spread below that of
 * independent draws is luck; with Q k as the bound, intervals at Q = 30 cover too much), and Q where all shares are 0 or all
 * are 1. With k = 1 it is Wilson's interval itself.
 * @param shares_P share of right samples of each problem, [Q], in 0..1. @param k samples a problem.
 * @throws RangeError on an empty list.
 */
export function averageAtK(shares_P: readonly number[], k: number): Estimate {
  const problems = shares_P.length;
  if (problems === 0) throw new RangeError('averageAtK: no problems');
  const p = Math.min(1, Math.max(0, mean(shares_P)));
  if (k === 1 || problems === 1) return { value: p, ci95: wilson(p * problems, problems) };
  const spread = variance(shares_P);
  const uniform = p === 0 || p === 1;
  const effective = uniform
    ? problems
    : Math.min(2 * problems * k, spread > 0 ? (p * (1 - p) * problems) / spread : Infinity);
  return { value: p, ci95: wilson(p * effective, effective, studentT95(problems - 1)) };
}

/**
 * Mean over problems of a number in 0..1 that each problem has (pass@j, maj@k), with a 95 % interval in which the problem
 * is the unit: as `averageAtK`, with at most as many effective samples as problems, since nothing is known of the spread
 * within one.
 * @throws RangeError on an empty list.
 */
export function problemMean(values_P: readonly number[]): Estimate {
  const problems = values_P.length;
  if (problems === 0) throw new RangeError('problemMean: no problems');
  const value = Math.min(1, Math.max(0, mean(values_P)));
  if (problems === 1) return { value, ci95: wilson(value, 1) };
  const spread = variance(values_P);
  // For 0/1 values p (1 - p) Q / var is Q - 1: they are what Wilson's interval is for.
  const binary = values_P.every((v) => v === 0 || v === 1);
  if (binary || spread === 0) return { value, ci95: wilson(value * problems, problems) };
  const effective = (value * (1 - value) * problems) / spread;
  return { value, ci95: wilson(value * effective, effective, studentT95(problems - 1)) };
}

/**
 * Unbiased pass@k from n samples of which c are right: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, equation 1), as the
 * product of 1 - k/i for i = n-c+1 .. n.
 * @throws RangeError unless 0 <= c <= n and 1 <= k <= n.
 */
export function passAtK(n: number, c: number, k: number): number {
  if (!(c >= 0 && c <= n && k >= 1 && k <= n)) throw new RangeError(`passAtK: n=${n}, c=${c}, k=${k}`);
  if (n - c < k) return 1;
  let allWrong = 1;
  for (let i = n - c + 1; i <= n; i++) allWrong *= 1 - k / i;
  return 1 - allWrong;
}

/** A sample's vote: the answer it gave (undefined: none, no vote) and whether that is right. */
export interface Vote {
  answer: string | undefined;
  correct: boolean;
}

/**
 * maj@k of one problem: whether the most frequent answer is right. Answers are grouped by `same` (each is held against
 * the first of a group); between groups of equal size the expected value of a fair draw counts.
 * @returns 0..1; 0 when nobody voted.
 */
export function majority(votes: readonly Vote[], same: (a: string, b: string) => boolean = (a, b) => a === b): number {
  const groups: { answer: string; correct: boolean; size: number }[] = [];
  for (const { answer, correct } of votes) {
    if (answer === undefined) continue;
    const group = groups.find((other) => same(other.answer, answer));
    if (group) group.size++;
    else groups.push({ answer, correct, size: 1 });
  }
  const largest = Math.max(0, ...groups.map(({ size }) => size));
  const winners = groups.filter(({ size }) => size === largest);
  return winners.length === 0 ? 0 : winners.filter(({ correct }) => correct).length / winners.length;
}

/**
 * Mean of after - before over the same problems, with a 95 % t interval on the differences: problems that are hard for
 * both cancel (Miller 2024, section 4.2). Degenerate (zero width) when all differences are equal.
 * @param before_P shares of right samples by problem. @param after_P the same problems in the same order.
 * @throws RangeError when lengths differ or are below 2.
 */
export function pairedDifference(before_P: readonly number[], after_P: readonly number[]): Estimate {
  if (before_P.length !== after_P.length || before_P.length < 2)
    throw new RangeError(`pairedDifference: ${before_P.length} against ${after_P.length} problems`);
  const differences = after_P.map((after, i) => after - (before_P[i] as number));
  const value = mean(differences);
  const half = studentT95(differences.length - 1) * Math.sqrt(variance(differences) / differences.length);
  return { value, ci95: [value - half, value + half] };
}

/**
 * Mean of after - before over the same problems, with a 95 % percentile bootstrap interval: problems are drawn with
 * replacement, pairs kept together (Efron and Tibshirani 1993, chapter 13). It makes no assumption on how differences spread.
 * @param before_P shares of right samples by problem. @param after_P the same problems in the same order.
 * @throws RangeError when lengths differ or are below 2.
 */
export function pairedBootstrap(
  before_P: readonly number[],
  after_P: readonly number[],
  { seed, resamples = 10_000 }: { seed: number; resamples?: number },
): Estimate {
  const Q = before_P.length;
  if (Q !== after_P.length || Q < 2) throw new RangeError(`pairedBootstrap: ${Q} against ${after_P.length} problems`);
  const differences = Float64Array.from(after_P, (after, i) => after - (before_P[i] as number));
  const random = new RandomStream(seed, 'paired-bootstrap');
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < Q; i++) sum += differences[Math.floor(random.next() * Q)] as number;
    return sum / Q;
  }).sort();
  const quantile = (q: number): number => means[Math.round(q * (resamples - 1))] as number;
  return { value: mean([...differences]), ci95: [quantile(0.025), quantile(0.975)] };
}
