/** Two-sided 95 % quantile of the standard normal distribution. */
export const Z95 = 1.959963984540054;

/**
 * Two-sided 95 % quantile of Student's t: exact for 1 and 2 degrees of freedom, from there on the expansion in 1/df of
 * Abramowitz and Stegun 26.7.5 (error below 0.004 at 3, below 0.0002 from 6 on).
 */
export function studentT95(df: number): number {
  if (!(df >= 1)) throw new RangeError(`studentT95: ${df} degrees of freedom`);
  if (df < 2) return 12.706204736;
  if (df < 3) return 4.302652729;
  const z = Z95;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  const g4 = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160;
  return z + g1 / df + g2 / df ** 2 + g3 / df ** 3 + g4 / df ** 4;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample variance with ddof 1; 0 for a single value. */
export function variance(values: readonly number[]): number {
  const centre = mean(values);
  return values.length < 2 ? 0 : values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1);
}
