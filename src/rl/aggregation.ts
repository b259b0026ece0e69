/** How the per-token losses of one update become one number. */
export type Aggregation = 'token-mean' | 'sequence-mean-token-mean' | 'sequence-mean-token-sum' | 'constant';

export const AGGREGATIONS = [
  'token-mean',
  'sequence-mean-token-mean',
  'sequence-mean-token-sum',
  'constant',
] as const satisfies readonly Aggregation[];

/**
 * Weight of each token of each sequence of one update, [S] lengths -> [S] weights (all tokens of a sequence share one).
 * N is taken over the whole update and folded in here, so any later split into micro-batches leaves the sum unchanged.
 * A length counts the tokens with a loss: not tool tokens, and 0 for a response that is empty or filtered; such a one has
 * weight 0. With lengths |o_i|, S sequences and S' of them with |o_i| > 0:
 *
 *   token-mean                 1 / sum_j |o_j|     DAPO, arXiv 2503.14476 Eq. 8
 *   sequence-mean-token-mean   1 / (S' |o_i|)      GRPO, arXiv 2402.03300 Eq. 3
 *   sequence-mean-token-sum    1 / S'
 *   constant                   1 / (S M)           Dr. GRPO, arXiv 2503.20783 Listing 1; M: the generation budget
 *
 * S' as in verl core_algos.py `agg_loss`; its `seq-mean-token-sum-norm` is `constant` without the 1/S.
 *
 * @param constant M, read by `constant` alone.
 */
export function tokenWeights(aggregation: Aggregation, lengths_S: readonly number[], constant: number): Float64Array {
  const S = lengths_S.length;
  const withTokens = lengths_S.filter((length) => length > 0).length;
  const tokens = lengths_S.reduce((sum, length) => sum + length, 0);
  return Float64Array.from(lengths_S, (length) => {
    if (length === 0) return 0;
    switch (aggregation) {
      case 'token-mean':
        return 1 / tokens;
      case 'sequence-mean-token-mean':
        return 1 / (withTokens * length);
      case 'sequence-mean-token-sum':
        return 1 / withTokens;
      case 'constant':
        return 1 / (S * constant);
    }
  });
}
