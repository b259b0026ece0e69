import type { Datum, Loss, LossResult, Outputs } from '../engine/types.js';

/**
 * Log-ratios are cut to [-20, 20] before they are exponentiated, and carry no gradient beyond
 * (verl/trainer/ppo/core_algos.py): a token that moved that far would otherwise overflow.
 */
const MAX_LOG_RATIO = 20;

export interface ClipBounds {
  /** eps_low: the ratio is cut at 1 - clipLow. */
  clipLow: number;
  /** eps_high: the ratio is cut at 1 + clipHigh. */
  clipHigh: number;
  /** c > 1: for negative advantages the loss is at most -c A (dual clip, arXiv 1912.09729 Eq. 5); null: off. */
  dualClip: number | null;
}

/** What one token contributes: its loss, the derivative by its logprob, and which bound acts. */
export interface TokenLoss {
  loss: number;
  dLogprob: number;
  active: 'none' | 'low' | 'high' | 'dual';
}

/**
 * The clipped surrogate of one token with advantage A and ratio r = pi(o_t) / pi_old(o_t) (to be minimised):
 *
 *   l = -min(r A, clip(r, 1 - eps_low, 1 + eps_high) A)         PPO, arXiv 1707.06347 Eq. 7; split bounds: DAPO Eq. 8
 *   l = min(l, -c A)  for A < 0                                 dual clip
 *
 * dl/dlogprob = -r A where no bound acts and 0 where one does. At the bound itself (a tie) the derivative is that of the
 * unclipped side, as with torch.clamp.
 */
export function clippedSurrogateToken(A: number, logRatio: number, bounds: ClipBounds): TokenLoss {
  const bounded = Math.min(MAX_LOG_RATIO, Math.max(-MAX_LOG_RATIO, logRatio));
  const r = Math.exp(bounded);
  if (A > 0 && r > 1 + bounds.clipHigh) return { loss: -(1 + bounds.clipHigh) * A, dLogprob: 0, active: 'high' };
  if (A < 0 && r < 1 - bounds.clipLow) return { loss: -(1 - bounds.clipLow) * A, dLogprob: 0, active: 'low' };
  if (A < 0 && bounds.dualClip !== null && r > bounds.dualClip)
    return { loss: -bounds.dualClip * A, dLogprob: 0, active: 'dual' };
  return { loss: -r * A, dLogprob: bounded === logRatio ? -r * A : 0, active: 'none' };
}

export interface SurrogateOptions extends ClipBounds {
  /** beta >= 0: adds -beta H to every token's loss, with H the entropy of the full next-token distribution. */
  entropyBonus: number;
}

/**
 * The policy-gradient loss of GRPO and DAPO: sum over tokens of weight * l(advantage, logprob - oldLogprob) with
 * {@link clippedSurrogateToken}. Reads the vectors `weight` (1/N folded in, 0 outside the response), `advantage` and
 * `oldLogprob`. Metrics are over tokens with a weight: clip.low, clip.high, clip.dual (shares), ratio.max, approx_kl
 * (r - 1 - log r, Schulman's k3 for KL(old, new)), delta.mean_abs (|log r|).
 */
export function clippedSurrogate(options: SurrogateOptions): Loss {
  const { clipLow, clipHigh, dualClip, entropyBonus } = options;
  const plain = dualClip === null && entropyBonus === 0;
  return {
    name: 'clipped-surrogate',
    needs: { entropy: entropyBonus !== 0 },
    remote: plain
      ? { name: 'ppo', config: { clip_low_threshold: 1 - clipLow, clip_high_threshold: 1 + clipHigh } }
      : undefined,
    fn: (out, data) =>
      sumOverTokens(out, data, entropyBonus, (A, logRatio) => clippedSurrogateToken(A, logRatio, options)),
  };
}

/** PPO's clip with one bound and nothing else (arXiv 1707.06347 Eq. 7). */
export function ppoClip(epsilon: number): Loss {
  return { ...clippedSurrogate({ clipLow: epsilon, clipHigh: epsilon, dualClip: null, entropyBonus: 0 }), name: 'ppo' };
}

/** Importance-weighted policy gradient without a clip: l = -r A. */
export function importanceSampling(): Loss {
  return {
    ...clippedSurrogate({ clipLow: 1, clipHigh: Infinity, dualClip: null, entropyBonus: 0 }),
    name: 'importance-sampling',
    remote: { name: 'importance_sampling', config: {} },
  };
}

/**
 * {@link clippedSurrogate} at r = 1, i.e. for the first update after `oldLogprob` was taken from these very weights:
 * l = -A and dl/dlogprob = -A whatever the logprobs are. Being linear, it spares the engine a pass.
 */
export function surrogateAtRatioOne(entropyBonus: number): Loss {
  return {
    name: 'surrogate-at-ratio-one',
    needs: { entropy: entropyBonus !== 0 },
    linear: true,
    fn: (out, data) => {
      const onPolicy = data.map((datum, i) => ({
        ...datum,
        vectors: { ...datum.vectors, oldLogprob: out.logprobs[i] as Float32Array },
      }));
      const unclipped = (A: number): TokenLoss => ({ loss: -A, dLogprob: -A, active: 'none' });
      return sumOverTokens(out, onPolicy, entropyBonus, unclipped);
    },
  };
}

/** Running totals over the tokens that carry weight. */
interface Totals {
  loss: number;
  tokens: number;
  low: number;
  high: number;
  dual: number;
  ratioMax: number;
  kl: number;
  delta: number;
  entropy: number;
}

function sumOverTokens(
  out: Outputs,
  data: readonly Datum[],
  entropyBonus: number,
  tokenLoss: (advantage: number, logRatio: number) => TokenLoss,
): LossResult {
  const totals: Totals = { loss: 0, tokens: 0, low: 0, high: 0, dual: 0, ratioMax: 0, kl: 0, delta: 0, entropy: 0 };
  const dLogprobs: Float32Array[] = [];
  const dEntropy: Float32Array[] = [];
  data.forEach((datum, i) => {
    const logprobs_T = out.logprobs[i] as Float32Array;
    const entropy_T = out.entropy?.[i];
    const dLogprobs_T = new Float32Array(logprobs_T.length);
    const dEntropy_T = new Float32Array(entropyBonus === 0 ? 0 : logprobs_T.length);
    const weight_T = vector(datum, 'weight');
    const advantage_T = vector(datum, 'advantage');
    const oldLogprob_T = vector(datum, 'oldLogprob');
    for (let t = 0; t < logprobs_T.length; t++) {
      const w = at(weight_T, t);
      if (w === 0) continue;
      const logRatio = at(logprobs_T, t) - at(oldLogprob_T, t);
      const { loss, dLogprob, active } = tokenLoss(at(advantage_T, t), logRatio);
      dLogprobs_T[t] = w * dLogprob;
      totals.loss += w * loss;
      count(totals, logRatio, active);
      if (entropyBonus !== 0) {
        const H = entropy_T ? at(entropy_T, t) : 0;
        dEntropy_T[t] = -w * entropyBonus;
        totals.loss -= w * entropyBonus * H;
        totals.entropy += H;
      }
    }
    dLogprobs.push(dLogprobs_T);
    if (entropyBonus !== 0) dEntropy.push(dEntropy_T);
  });
  return {
    lossSum: totals.loss,
    dLogprobs,
    dEntropy: entropyBonus === 0 ? undefined : dEntropy,
    metrics: metricsOf(totals, entropyBonus !== 0),
  };
}

function count(totals: Totals, logRatio: number, active: TokenLoss['active']): void {
  const ratio = Math.exp(logRatio);
  totals.tokens++;
  if (active !== 'none') totals[active]++;
  totals.ratioMax = Math.max(totals.ratioMax, ratio);
  totals.kl += ratio - 1 - logRatio;
  totals.delta += Math.abs(logRatio);
}

function metricsOf(totals: Totals, withEntropy: boolean): LossResult['metrics'] {
  const mean = (sum: number) => ({ sum, count: totals.tokens });
  return {
    'clip.low': mean(totals.low),
    'clip.high': mean(totals.high),
    'clip.dual': mean(totals.dual),
    'ratio.max': { max: totals.ratioMax },
    approx_kl: mean(totals.kl),
    'delta.mean_abs': mean(totals.delta),
    ...(withEntropy ? { entropy: mean(totals.entropy) } : {}),
  };
}

function vector(datum: Datum, name: string): Float32Array {
  const values = datum.vectors[name];
  if (!values) throw new TypeError(`the loss needs the vector '${name}', which the datum lacks`);
  return values;
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
