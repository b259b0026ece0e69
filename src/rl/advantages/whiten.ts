export interface WhitenOptions {
  /** False: only the scale is changed and the mean stays. */
  shiftMean: boolean;
  /** Added to the variance. */
  eps: number;
}

/**
 * Whitens all tokens of an iteration together, ragged [S][T] -> [S][T]:
 *
 *   x <- (x - mean) / sqrt(var + eps)   over the tokens with mask 1; 0 elsewhere
 *
 * var is the unbiased one (ddof 1) as in verl torch_functional.py `masked_whiten` with eps 1e-8; OpenRLHF and NeMo-RL
 * divide by n. Equal values, one token alone among them, give exactly 0 (or stay, without the shift).
 */
export function whiten(
  values_ST: readonly ArrayLike<number>[],
  mask_ST: readonly ArrayLike<number>[],
  options: WhitenOptions,
): Float64Array[] {
  const kept = values_ST.flatMap((values_T, s) => Array.from(values_T).filter((_, t) => mask_ST[s]?.[t] !== 0));
  const { mean, variance } = moments(kept);
  const scale = 1 / Math.sqrt(variance + options.eps);
  const whitened = (x: number) => (variance === 0 ? 0 : (x - mean) * scale) + (options.shiftMean ? 0 : mean);
  return values_ST.map((values_T, s) =>
    Float64Array.from(values_T, (x, t) => (mask_ST[s]?.[t] !== 0 ? whitened(x) : 0)),
  );
}

/** Mean and unbiased variance; of equal values exactly 0, not rounding noise. */
function moments(values: readonly number[]): { mean: number; variance: number } {
  const n = values.length;
  if (values.every((x) => x === values[0])) return { mean: values[0] ?? 0, variance: 0 };
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1) };
}
