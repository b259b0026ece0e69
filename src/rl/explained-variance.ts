import type { Sequence } from './sequences.js';

/**
 * How much of the variance of the returns G the critic's values V, taken before they were updated on them, explain over
 * the tokens of the model: EV = 1 - var(G - V) / var(G). Left out where the returns do not vary.
 */
export function explainedVariance(sequences: readonly Sequence[]): { 'critic.explained_variance'?: number } {
  const pairs = sequences.flatMap(({ mask, values, returns }) =>
    [...mask].flatMap((m, t) => (m === 0 || !values || !returns ? [] : [{ G: returns[t] ?? 0, V: values[t] ?? 0 }])),
  );
  const total = variance(pairs.map(({ G }) => G));
  if (total === 0) return {};
  return { 'critic.explained_variance': 1 - variance(pairs.map(({ G, V }) => G - V)) / total };
}

function variance(values: readonly number[]): number {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
}
