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
 * With lengths |o_i| and S sequences:
 *
 *   token-mean                 1 / sum_j |o_j|     DAPO, arXiv 2503.14476 Eq. 8
 *   sequence-mean-token-mean   1 / (S |o_i|)       GRPO, arXiv 2402.03300 Eq. 3
 *   sequence-mean-token-sum    1 / S
 *   constant                   1 / (S M)           Dr. GRPO, arXiv 2503.20783 Listing 1; M: the generation budget
 *
 * @param constant M, read by `constant` alone.
 */
export function tokenWeights(aggregation: Aggregation, lengths_S: readonly number[], constant: number): Float64Array {
  const S = lengths_S.length;
  const tokens = lengths_S.reduce((sum, length) => sum + length, 0);
  return Float64Array.from(lengths_S, (length) => {
    switch (aggregation) {
      case 'token-mean':
        return 1 / tokens;
      case 'sequence-mean-token-mean':
        return 1 / (S * length);
      case 'sequence-mean-token-sum':
        return 1 / S;
      case 'constant':
        return 1 / (S * constant);
    }
  });
}
