/** Sequences that share one graph run: B rows padded to T tokens; rows beyond `members` are padding. */
export interface MicroBatch {
  T: number;
  B: number;
  /** Indices into the list of sequences. */
  members: number[];
}

/** Padded length for a sequence: steps of 16 up to 128, then of about an eighth, so that few graphs serve all lengths. */
export function bucketLength(length: number): number {
  const step = length <= 128 ? 16 : 2 ** Math.ceil(Math.log2(length) - 3);
  return Math.ceil(length / step) * step;
}

/** Rows for a graph of this length; a left-over takes the next power of two, so that few graphs serve all counts. */
function rowsFor(count: number, T: number, tokens: number): number {
  const most = Math.max(1, Math.floor(tokens / T));
  return count >= most ? most : Math.min(most, 2 ** Math.ceil(Math.log2(count)));
}

/**
 * Splits sequences into graph runs: grouped by padded length, at most `tokens` padded tokens a run (a longer sequence
 * runs alone). A pure function of the lengths and the budget.
 */
export function planMicroBatches(lengths: readonly number[], tokens: number): MicroBatch[] {
  const byLength = new Map<number, number[]>();
  lengths.forEach((length, i) => {
    const T = bucketLength(length);
    const members = byLength.get(T) ?? [];
    members.push(i);
    byLength.set(T, members);
  });
  const plan: MicroBatch[] = [];
  for (const [T, members] of [...byLength].sort(([a], [b]) => a - b)) {
    for (let start = 0; start < members.length;) {
      const B = rowsFor(members.length - start, T, tokens);
      plan.push({ T, B, members: members.slice(start, start + B) });
      start += B;
    }
  }
  return plan;
}
