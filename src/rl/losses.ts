/** Losses as pure functions from a forward pass to per-token derivatives (`Loss` of src/engine/types.ts), and their parts. */
export { truncatedImportanceWeights } from './losses/importance-weights.js';
export { entropyTerm, klTerm, nllTerm, nllWeights } from './losses/regularisers.js';
export {
  clippedSurrogate,
  importanceSampling,
  policyLoss,
  ppoClip,
  surrogateAtRatioOne,
  type PolicyLossOptions,
  type SurrogateOptions,
} from './losses/policy-loss.js';
export {
  SURROGATES,
  cispoToken,
  clippedSurrogateToken,
  gspoToken,
  sequenceLogRatio,
  type ClipBounds,
  type Surrogate,
  type TokenLoss,
} from './losses/surrogate.js';
export { lossOf, MetricTally, type LossTerm, type SequenceGradient, type SequenceInput } from './losses/term.js';
export { valueLoss, valueLossToken } from './losses/value-loss.js';
export { surrogateTerm, type SurrogateTermOptions } from './losses/surrogate-term.js';
