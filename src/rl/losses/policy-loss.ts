import type { Loss } from '../../engine/types.js';
import type { KlEstimator } from '../kl.js';
import { entropyTerm, klTerm, nllTerm } from './regularisers.js';
import { surrogateTerm } from './surrogate-term.js';
import type { ClipBounds, Surrogate } from './surrogate.js';
import { lossOf, type LossTerm } from './term.js';

/** The whole loss of the policy: L = surrogate - entropyBonus H + kl.coefficient KL + positiveNll NLL. */
export interface PolicyLossOptions extends ClipBounds {
  surrogate: Surrogate;
  /** Truncated importance correction: the surrogate is multiplied by the vector `isWeight`. */
  importanceWeights: boolean;
  /** beta >= 0: adds -beta H to every token's loss, with H the entropy of the full next-token distribution. */
  entropyBonus: number;
  /** KL to the reference in the loss (vector `refLogprob`); null: off, or in the reward. */
  kl: { estimator: KlEstimator; coefficient: number } | null;
  /** mu: weight of the imitation of right answers (vector `nllWeight`); 0: off. */
  positiveNll: number;
}

/**
 * The policy's loss out of its terms. Reads the vectors `weight`, `advantage`, `oldLogprob` and, by option, `isWeight`,
 * `refLogprob`, `nllWeight`. A term whose coefficient is 0 is left out, and its vector is not read.
 *
 * @param at `ratioOne`: for the first update after `oldLogprob` was taken from these very weights; the vector is then not
 * read, and where all terms are linear the loss spares the engine a pass.
 */
export function policyLoss(options: PolicyLossOptions, at: { ratioOne: boolean } = { ratioOne: false }): Loss {
  const { surrogate, kl, entropyBonus, positiveNll } = options;
  const terms: LossTerm[] = [surrogateTerm({ ...options, ratioOne: at.ratioOne })];
  if (entropyBonus !== 0) terms.push(entropyTerm(entropyBonus));
  if (kl !== null && kl.coefficient !== 0) terms.push(klTerm(kl.estimator, kl.coefficient));
  if (positiveNll !== 0) terms.push(nllTerm(positiveNll));
  const plain = terms.length === 1 && !options.importanceWeights && !at.ratioOne;
  return lossOf(at.ratioOne ? `${surrogate} at ratio one` : surrogate, terms, plain ? twin(options) : undefined);
}

/** The server's own loss with the same meaning. */
function twin({ surrogate, clipLow, clipHigh, dualClip }: PolicyLossOptions): Loss['remote'] {
  if (surrogate === 'importance-sampling') return { name: 'importance_sampling', config: {} };
  if (surrogate !== 'clip' || dualClip !== null) return undefined;
  return { name: 'ppo', config: { clip_low_threshold: 1 - clipLow, clip_high_threshold: 1 + clipHigh } };
}

export interface SurrogateOptions extends ClipBounds {
  /** beta >= 0: adds -beta H to every token's loss, with H the entropy of the full next-token distribution. */
  entropyBonus: number;
}

const PLAIN = { surrogate: 'clip', importanceWeights: false, kl: null, positiveNll: 0 } as const;
const UNBOUNDED = { clipLow: 1, clipHigh: Infinity, dualClip: null } as const;

/** The loss of PPO, GRPO and DAPO: the clipped surrogate, with an entropy bonus or none. */
export function clippedSurrogate(options: SurrogateOptions): Loss {
  return { ...policyLoss({ ...PLAIN, ...options }), name: 'clipped-surrogate' };
}

/** PPO's clip with one bound and nothing else (arXiv 1707.06347 Eq. 7). */
export function ppoClip(epsilon: number): Loss {
  return { ...clippedSurrogate({ clipLow: epsilon, clipHigh: epsilon, dualClip: null, entropyBonus: 0 }), name: 'ppo' };
}

/** Importance-weighted policy gradient without a clip: l = -r A. */
export function importanceSampling(): Loss {
  return policyLoss({ ...PLAIN, ...UNBOUNDED, surrogate: 'importance-sampling', entropyBonus: 0 });
}

/** {@link clippedSurrogate} at r = 1: l = -A and dl/dlogprob = -A whatever the logprobs are. */
export function surrogateAtRatioOne(entropyBonus: number): Loss {
  const loss = policyLoss({ ...PLAIN, ...UNBOUNDED, entropyBonus }, { ratioOne: true });
  return { ...loss, name: 'surrogate-at-ratio-one' };
}
