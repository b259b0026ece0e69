import { commonLength } from './prefixes.js';

/** A beginning that several prompts share, to be read once for all of them. */
export interface SharedPrefix {
  parent: SharedPrefix | undefined;
  tokens: Int32Array;
}

/** Shared prefixes end at multiples of this, so that prompts of another call are likely to share the same ones. */
const BLOCK = 16;

/** What one more graph run costs besides its tokens, in tokens: reading from a past goes row by row. */
const RUN_COST = 64;

interface Range {
  from: number;
  to: number;
  parent: SharedPrefix | undefined;
}

function compare(a: Int32Array, b: Int32Array): number {
  const common = commonLength(a, b);
  if (common === a.length || common === b.length) return a.length - b.length;
  return (a[common] as number) - (b[common] as number);
}

/** Tokens that need not be read when `rows` prompts share `length` more of them, less what the extra runs cost. */
function saving(rows: number, length: number, hasParent: boolean): number {
  return (rows - 1) * length - (hasParent ? 1 : rows + 1) * RUN_COST;
}

/**
 * Chooses the beginnings worth reading once, where prompts branch: the nodes of their radix tree that save more than
 * the extra graph runs cost, the most shared first.
 * @param start tokens at the beginning of every prompt that are in the cache already
 * @param positions cache positions that the chosen prefixes may take together
 * @returns for every prompt the longest chosen prefix that it begins with, or undefined
 */
export function planPrefixes(
  prompts: readonly Int32Array[],
  start: number,
  positions: number,
): (SharedPrefix | undefined)[] {
  const order = [...prompts.keys()].sort((a, b) => compare(prompts[a] as Int32Array, prompts[b] as Int32Array));
  const at = (rank: number): Int32Array => prompts[order[rank] as number] as Int32Array;
  // A prompt leaves at least its last token to be read, since that is what the reply follows from.
  const shared = order.map((_, rank) => {
    if (rank === 0) return 0;
    const common = Math.min(commonLength(at(rank - 1), at(rank)), at(rank).length - 1, at(rank - 1).length - 1);
    return Math.floor(common / BLOCK) * BLOCK;
  });
  const chosen: (SharedPrefix | undefined)[] = prompts.map(() => undefined);
  let left = positions;
  const ranges: Range[] = [{ from: 0, to: prompts.length, parent: undefined }];
  for (let range = ranges.shift(); range; range = ranges.shift()) {
    const { from, to } = range;
    if (to - from < 2) continue;
    let depth = Infinity;
    for (let rank = from + 1; rank < to; rank++) depth = Math.min(depth, shared[rank] as number);
    let { parent } = range;
    const length = depth - (parent?.tokens.length ?? start);
    if (length > 0 && length <= left && saving(to - from, length, parent !== undefined || start > 0) > 0) {
      parent = { parent, tokens: at(from).slice(0, depth) };
      left -= length;
      for (let rank = from; rank < to; rank++) chosen[order[rank] as number] = parent;
    }
    let begin = from;
    for (let rank = from + 1; rank <= to; rank++) {
      if (rank < to && (shared[rank] as number) > depth) continue;
      ranges.push({ from: begin, to: rank, parent });
      begin = rank;
    }
  }
  return chosen;
}
