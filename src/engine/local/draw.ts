import type { SampleParams } from '../types.js';

/** A drawn token and the probability it had under the filtered, renormalised distribution. */
export interface Draw {
  token: number;
  probability: number;
}

type Filters = Pick<SampleParams, 'topP' | 'topK' | 'minP'>;

export function argMax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  return best;
}

/** Inverse of the cumulative distribution at u in [0, 1); rounding that leaves u beyond the end takes the last token. */
function drawUnfiltered(probabilities: Float32Array, u: number): Draw {
  let cumulative = 0;
  let token = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i] as number;
    if (p === 0) continue;
    cumulative += p;
    token = i;
    if (cumulative > u) break;
  }
  return { token, probability: probabilities[token] as number };
}

/** Tokens that may be in the result, most probable first, ties by token id. */
function candidates(probabilities: Float32Array, { topP = 1, minP = 0 }: Filters): number[] {
  let max = 0;
  for (const p of probabilities) if (p > max) max = p;
  // All tokens below (1 - topP) / V together weigh less than 1 - topP, so none of them is in the nucleus.
  const floor = Math.max(minP * max, topP < 1 ? (1 - topP) / probabilities.length : 0);
  const kept: number[] = [];
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i] as number;
    if (p > 0 && p >= floor) kept.push(i);
  }
  return kept.sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number) || a - b);
}

/** Shortest prefix whose mass reaches `share` of the total; never empty. */
function nucleus(tokens: readonly number[], probabilities: Float32Array, share: number, total: number): number[] {
  let mass = 0;
  const end = tokens.findIndex((token) => (mass += probabilities[token] as number) >= share * total);
  return end < 0 ? tokens.slice() : tokens.slice(0, end + 1);
}

function mass(tokens: readonly number[], probabilities: Float32Array): number {
  return tokens.reduce((sum, token) => sum + (probabilities[token] as number), 0);
}

/**
 * Draws one token. Filters apply in the order top-k, top-p, min-p, each on what the one before left, renormalised (the
 * order of transformers' logits warpers).
 * @param probabilities softmax at the sampling temperature, [V]
 * @param u uniform in [0, 1)
 */
export function drawToken(probabilities: Float32Array, u: number, filters: Filters): Draw {
  const { topP = 1, topK = 0, minP = 0 } = filters;
  if (topP >= 1 && topK <= 0 && minP <= 0) return drawUnfiltered(probabilities, u);
  // With top-k in play the nucleus is taken of the k tokens' own mass, so no token may be dropped before.
  let kept = candidates(probabilities, topK > 0 ? {} : { topP, minP });
  let total = 1;
  if (topK > 0) {
    kept = kept.slice(0, topK);
    total = mass(kept, probabilities);
  }
  if (topP < 1) kept = nucleus(kept, probabilities, topP, total);
  const floor = minP * (probabilities[kept[0] as number] as number);
  kept = kept.filter((token) => (probabilities[token] as number) >= floor);
  total = mass(kept, probabilities);
  let cumulative = 0;
  const token = kept.find((id) => (cumulative += probabilities[id] as number) > u * total) ?? (kept.at(-1) as number);
  return { token, probability: (probabilities[token] as number) / total };
}
