import type { Datum, Loss, LossResult, Outputs } from '../engine/types.js';

/**
 * Weighted cross-entropy: -sum_t weight_t logprob_t. Linear in the logprobs. Metric `nll`: mean of -logprob over the
 * tokens that carry weight, in nats.
 */
export const crossEntropy: Loss = {
  name: 'cross-entropy',
  needs: {},
  linear: true,
  remote: { name: 'cross_entropy', config: {} },
  fn: crossEntropyFn,
};

function crossEntropyFn(out: Outputs, data: readonly Datum[]): LossResult {
  let lossSum = 0;
  let nll = 0;
  let tokens = 0;
  const dLogprobs = data.map(({ vectors }, i) => {
    const logprobs_T = out.logprobs[i] as Float32Array;
    const weight_T = vectors.weight;
    if (!weight_T) throw new TypeError("the loss needs the vector 'weight', which the datum lacks");
    for (let t = 0; t < logprobs_T.length; t++) {
      const w = weight_T[t] as number;
      if (w === 0) continue;
      lossSum -= w * (logprobs_T[t] as number);
      nll -= logprobs_T[t] as number;
      tokens++;
    }
    return weight_T.map((w) => -w);
  });
  return { lossSum, dLogprobs, metrics: { nll: { sum: nll, count: tokens } } };
}
