import { klEstimate, type KlEstimator } from '../kl.js';
import type { LossTerm } from './term.js';

/**
 * Entropy bonus: sum over tokens of -beta weight_t H_t, with H_t the entropy of the full next-token distribution and its
 * exact gradient (T1, arXiv 2501.11651 Eq. 3; verl `compute_entropy_loss`). Metric: entropy (mean over tokens with a weight).
 */
export function entropyTerm(beta: number): LossTerm {
  return {
    needs: { entropy: true },
    linear: true,
    add({ entropy_T, vector }, { dEntropy_T }, tally) {
      let loss = 0;
      forWeighted(vector('weight'), (t, w) => {
        loss -= w * beta * at(entropy_T, t);
        dEntropy_T[t] = at(dEntropy_T, t) - w * beta;
        tally.mean('entropy', at(entropy_T, t), 1);
      });
      return loss;
    },
  };
}

/**
 * KL to the reference in the loss: sum over tokens of beta weight_t k(logprob_t - refLogprob_t), by {@link klEstimate};
 * see there which estimator's gradient is right. Reads the vector `refLogprob`. Metric: kl.reference (mean of the estimator).
 */
export function klTerm(estimator: KlEstimator, beta: number): LossTerm {
  return {
    needs: { logprobs: true },
    linear: estimator === 'k1',
    add({ logprobs_T, vector }, { dLogprobs_T }, tally) {
      const ref_T = vector('refLogprob');
      let loss = 0;
      forWeighted(vector('weight'), (t, w) => {
        const { kl, dLogprob } = klEstimate(estimator, at(logprobs_T, t), at(ref_T, t));
        loss += beta * w * kl;
        dLogprobs_T[t] = at(dLogprobs_T, t) + beta * w * dLogprob;
        tally.mean('kl.reference', kl, 1);
      });
      return loss;
    },
  };
}

/**
 * Imitation of the right answers (VAPO, arXiv 2504.05118 Eq. 9 and 10): -mu sum over tokens of nllWeight_t logprob_t, with
 * the vector `nllWeight` from {@link nllWeights}: no ratio, no clip, no advantage. Metric: nll (mean over its tokens).
 */
export function nllTerm(mu: number): LossTerm {
  return {
    needs: { logprobs: true },
    linear: true,
    add({ logprobs_T, vector }, { dLogprobs_T }, tally) {
      let loss = 0;
      forWeighted(vector('nllWeight'), (t, w) => {
        loss -= mu * w * at(logprobs_T, t);
        dLogprobs_T[t] = at(dLogprobs_T, t) - mu * w;
        tally.mean('nll', -at(logprobs_T, t), 1);
      });
      return loss;
    },
  };
}

/**
 * Weight of each token of each response in the imitation term: 1 / sum_{o_j in T} |o_j| in the right responses T of the
 * whole update, 0 in the others (VAPO Eq. 9). All 0 where no response is right; the paper leaves that case open.
 * Lengths [S] and correctness [S] -> [S].
 */
export function nllWeights(lengths_S: readonly number[], correct_S: readonly boolean[]): Float64Array {
  const tokens = lengths_S.reduce((sum, length, i) => sum + (correct_S[i] ? length : 0), 0);
  return Float64Array.from(lengths_S, (length, i) => (correct_S[i] && length > 0 ? 1 / tokens : 0));
}

function forWeighted(weight_T: ArrayLike<number>, visit: (t: number, weight: number) => void): void {
  for (let t = 0; t < weight_T.length; t++) if (weight_T[t] !== 0) visit(t, at(weight_T, t));
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
