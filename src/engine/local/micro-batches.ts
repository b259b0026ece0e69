import type { ModelConfig } from '../../model/index.js';

/** Sequences that share one graph run: B rows padded to T tokens; rows beyond `members` are padding. */
export interface MicroBatch {
  T: number;
  B: number;
  /** Indices into the list of sequences. */
  members: number[];
}

/** Where the caller sets no budget: 1,024 tokens, or the next lower power of two that fits; at least 128. */
const DEFAULT_TOKENS = { most: 1024, least: 128, bytes: 1.25 * 2 ** 30 };

/** Bytes of activations that the forward pass of `tokens` tokens, in sequences of T, keeps for the backward pass. */
export function activationBytes(
  { layers, hiddenSize, mlpSize, heads }: ModelConfig,
  tokens: number,
  T: number,
): number {
  return 4 * tokens * layers * (8 * hiddenSize + 2 * mlpSize + heads * T);
}

/** Tokens of one graph run, so that it holds about 1.25 GiB at the most. A pure function of the model's shape. */
export function defaultTokensPerMicroBatch(config: ModelConfig): number {
  const { most, least, bytes } = DEFAULT_TOKENS;
  let tokens = most;
  while (tokens > least && activationBytes(config, tokens, 256) > bytes) tokens /= 2;
  return tokens;
}

/** What one more run costs besides its padded tokens, in tokens: session overhead on small models. */
export const RUN_COST = 64;

/** A length or count rounded up in steps of 16 up to 128, then of about an eighth, so that few graphs serve all. */
export function bucketLength(length: number): number {
  return roundUp(length, 16);
}

/** Padded length of a sequence in training: half the steps of `bucketLength`, since every padded token costs its full price there. */
export function paddedLength(length: number): number {
  return roundUp(length, 8);
}

/** Steps of `finest` up to 128; from there they double with the length. */
function roundUp(length: number, finest: number): number {
  const step = finest * 2 ** Math.max(0, Math.ceil(Math.log2(length)) - 7);
  return Math.ceil(length / step) * step;
}

/** Rows for a graph of this length; a left-over takes the next power of two, so that few graphs serve all counts. */
function rowsFor(count: number, T: number, tokens: number): number {
  const most = Math.max(1, Math.floor(tokens / T));
  return count >= most ? most : Math.min(most, 2 ** Math.ceil(Math.log2(count)));
}

/** Row counts of the runs that `count` sequences of one padded length take. */
function runsFor(count: number, T: number, tokens: number): number[] {
  const runs: number[] = [];
  for (let left = count; left > 0; left -= runs.at(-1) as number) runs.push(rowsFor(left, T, tokens));
  return runs;
}

function costOf(count: number, T: number, tokens: number): number {
  return runsFor(count, T, tokens).reduce((sum, B) => sum + B * T + RUN_COST, 0);
}

/**
 * Cuts the distinct padded lengths (ascending) into runs that share the longest length of their run, so that padded
 * tokens plus the cost of runs is least: padding a few short sequences beats a graph run of their own.
 * @returns the end (exclusive) of each run of lengths
 */
function mergeLengths(lengths: readonly number[], counts: readonly number[], tokens: number): number[] {
  const best: { cost: number; from: number }[] = [{ cost: 0, from: 0 }];
  for (let end = 1; end <= lengths.length; end++) {
    let count = 0;
    let choice = { cost: Infinity, from: 0 };
    for (let from = end - 1; from >= 0; from--) {
      count += counts[from] as number;
      const cost = (best[from]?.cost as number) + costOf(count, lengths[end - 1] as number, tokens);
      if (cost < choice.cost) choice = { cost, from };
    }
    best.push(choice);
  }
  const ends: number[] = [];
  for (let end = lengths.length; end > 0; end = best[end]?.from as number) ends.unshift(end);
  return ends;
}

/**
 * Splits sequences into graph runs of at most `tokens` padded tokens (a longer sequence runs alone), with the least
 * padding. A pure function of the lengths and the budget.
 */
export function planMicroBatches(lengths: readonly number[], tokens: number): MicroBatch[] {
  const byLength = new Map<number, number[]>();
  lengths.forEach((length, i) => {
    const T = paddedLength(length);
    byLength.set(T, [...(byLength.get(T) ?? []), i]);
  });
  const sorted = [...byLength].sort(([a], [b]) => a - b);
  const ends = mergeLengths(
    sorted.map(([T]) => T),
    sorted.map(([, members]) => members.length),
    tokens,
  );
  return ends.flatMap((end, i) => {
    const T = sorted[end - 1]?.[0] as number;
    const members = sorted.slice(ends[i - 1] ?? 0, end).flatMap(([, group]) => group);
    let start = 0;
    return runsFor(members.length, T, tokens).map((B) => ({ T, B, members: members.slice(start, (start += B)) }));
  });
}
