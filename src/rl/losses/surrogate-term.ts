import {
  cispoToken,
  clippedSurrogateToken,
  gspoToken,
  sequenceLogRatio,
  type ClipBounds,
  type Surrogate,
  type TokenLoss,
} from './surrogate.js';
import type { LossTerm, MetricTally, SequenceInput } from './term.js';

export interface SurrogateTermOptions extends ClipBounds {
  surrogate: Surrogate;
  /** Multiply each token's surrogate by the vector `isWeight` ({@link truncatedImportanceWeights}). */
  importanceWeights: boolean;
  /** `oldLogprob` is what this very forward pass yields: all ratios are 1, and the vector is not read. */
  ratioOne: boolean;
}

/** A token with a weight: its weight (importance weight included), log-ratio and surrogate. */
interface Token extends TokenLoss {
  t: number;
  weight: number;
  logRatio: number;
}

/**
 * The surrogate as a term: sum over tokens of weight * isWeight * l. Reads `weight` (1/N folded in; 0 outside the
 * response and on tool tokens), `advantage`, `oldLogprob` and, where asked, `isWeight`. Metrics over the tokens with a
 * weight: clip.low, clip.high, clip.dual (shares), clip.low_prob and clip.high_prob (mean probability of the tokens
 * clipped), ratio.max, approx_kl (r - 1 - log r, k3 for KL(old, new)), delta.mean_abs (|log r|).
 */
export function surrogateTerm(options: SurrogateTermOptions): LossTerm {
  return {
    needs: { logprobs: true },
    linear: options.ratioOne || options.surrogate === 'reinforce',
    add(sequence, { dLogprobs_T }, tally) {
      const tokens = tokensOf(sequence, options);
      const shared = tokens.reduce((sum, { weight, dLogprob }) => sum + weight * dLogprob, 0) / tokens.length;
      for (const { t, weight, dLogprob } of tokens) {
        const d = options.surrogate === 'gspo' ? shared : weight * dLogprob;
        dLogprobs_T[t] = (dLogprobs_T[t] as number) + d;
      }
      countTokens(tally, tokens, sequence.logprobs_T);
      return tokens.reduce((sum, { weight, loss }) => sum + weight * loss, 0);
    },
  };
}

function tokensOf(sequence: SequenceInput, options: SurrogateTermOptions): Token[] {
  const { logprobs_T } = sequence;
  const weight_T = sequence.vector('weight');
  const isWeight_T = options.importanceWeights ? sequence.vector('isWeight') : undefined;
  const advantage_T = sequence.vector('advantage');
  const logRatio_T = logRatios(sequence, options);
  const log_s = sequenceLogRatio(logRatio_T, weight_T);
  const tokens: Token[] = [];
  for (let t = 0; t < weight_T.length; t++) {
    if (at(weight_T, t) === 0) continue;
    const weight = at(weight_T, t) * (isWeight_T ? at(isWeight_T, t) : 1);
    const logRatio = at(logRatio_T, t);
    const { loss, dLogprob, active } = tokenLoss(at(advantage_T, t), at(logprobs_T, t), logRatio, log_s, options);
    tokens.push({ t, weight, logRatio, loss, dLogprob, active });
  }
  return tokens;
}

/** log pi - log pi_old, [T]; nothing is asked of the old logprobs where they are not needed. */
function logRatios(sequence: SequenceInput, { ratioOne, surrogate }: SurrogateTermOptions): Float64Array {
  const logprobs_T = new Float64Array(sequence.logprobs_T);
  if (ratioOne || surrogate === 'reinforce') return logprobs_T.fill(0);
  const old_T = sequence.vector('oldLogprob');
  return logprobs_T.map((logprob, t) => logprob - at(old_T, t));
}

const UNBOUNDED: ClipBounds = { clipLow: 1, clipHigh: Infinity, dualClip: null };

function tokenLoss(A: number, logprob: number, logRatio: number, log_s: number, options: SurrogateTermOptions) {
  switch (options.surrogate) {
    case 'clip':
      return clippedSurrogateToken(A, logRatio, options);
    case 'importance-sampling':
      return clippedSurrogateToken(A, logRatio, UNBOUNDED);
    case 'reinforce':
      return { loss: -A * logprob, dLogprob: -A, active: 'none' } as const;
    case 'cispo':
      return cispoToken(A, logprob, logRatio, options);
    case 'gspo':
    case 'gspo-token':
      return gspoToken(A, log_s, options);
  }
}

function countTokens(tally: MetricTally, tokens: readonly Token[], logprobs_T: ArrayLike<number>): void {
  const clipped = { none: 0, low: 0, high: 0, dual: 0 };
  const probability = { none: 0, low: 0, high: 0, dual: 0 };
  let [ratioMax, kl, delta] = [0, 0, 0];
  for (const { t, active, logRatio } of tokens) {
    const ratio = Math.exp(logRatio);
    clipped[active]++;
    if (active !== 'none') probability[active] += Math.exp(at(logprobs_T, t));
    ratioMax = Math.max(ratioMax, ratio);
    kl += ratio - 1 - logRatio;
    delta += Math.abs(logRatio);
  }
  for (const bound of ['low', 'high', 'dual'] as const) tally.mean(`clip.${bound}`, clipped[bound], tokens.length);
  tally.mean('clip.low_prob', probability.low, clipped.low);
  tally.mean('clip.high_prob', probability.high, clipped.high);
  tally.max('ratio.max', ratioMax);
  tally.mean('approx_kl', kl, tokens.length);
  tally.mean('delta.mean_abs', delta, tokens.length);
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
