import { HoneError } from '../../core/index.js';
import { textUnits, type Units } from './units.js';

/** Token ids or words as they are; a text in words. */
const unitsOf = (of: string | Units): Units => (typeof of === 'string' ? textUnits(of) : of);

/**
 * Share of n-grams that have occurred before:
 *
 *   1 - |distinct n-grams| / |n-grams|
 *
 * The penalty of Yeo et al., "Demystifying Long Chain-of-Thought Reasoning in LLMs" (arXiv 2502.03373, Appendix C.2)
 * and of open-r1's `repetition_penalty` is this share times a negative number. Texts of fewer than n units have no
 * n-gram and no repetition. Time and memory are linear in the units.
 *
 * @param of a text, which is counted in words, or units such as token ids. @param n length of an n-gram, at least 1.
 * @returns a number in [0, 1).
 */
export function repetitionShare(of: string | Units, n = 3): number {
  if (!Number.isInteger(n) || n < 1)
    throw new HoneError('usage', `an n-gram has a whole number of units, at least 1; this is ${n}`, { where: 'n' });
  const ids = numbered(unitsOf(of));
  const total = ids.length - n + 1;
  if (total <= 0) return 0;
  let classes = ids;
  let distinct = new Set(ids).size;
  for (let length = 2; length <= n; length++) [classes, distinct] = extended(classes, ids, length);
  return 1 - distinct / total;
}

/** Units as numbers from 0, equal ones alike. */
function numbered(units: Units): number[] {
  const seen = new Map<string | number, number>();
  return Array.from(units as ArrayLike<string | number>, (unit) => {
    const id = seen.get(unit) ?? seen.size;
    seen.set(unit, id);
    return id;
  });
}

/** Classes of equal n-grams from classes of equal (n-1)-grams and the unit that follows each. */
function extended(classes: readonly number[], ids: readonly number[], n: number): [number[], number] {
  const seen = new Map<number, number>();
  const longer = classes.slice(0, -1).map((before, at) => {
    const key = before * ids.length + (ids[at + n - 1] as number);
    const id = seen.get(key) ?? seen.size;
    seen.set(key, id);
    return id;
  });
  return [longer, seen.size];
}

/**
 * Mean length of the repeats of a text against the longest that it could have:
 *
 *   2 Σ lcp_i / (n (n + 1))
 *
 * where lcp_i is the longest common prefix of neighbours in the sorted list of the n suffixes (Open-Reasoner-Zero,
 * `orz/ppo/trainer.py`). It sees loops of any period, and is near 1 for one unit repeated. Time O(n log² n).
 * @returns a number in [0, 1).
 */
export function suffixRepetition(of: string | Units): number {
  const ids = numbered(unitsOf(of));
  const n = ids.length;
  if (n < 2) return 0;
  const sorted = suffixArray(ids);
  return (2 * sumOfCommonPrefixes(ids, sorted)) / (n * (n + 1));
}

/** Starts of the suffixes in sorted order, by doubling (Manber and Myers 1990). */
function suffixArray(ids: readonly number[]): Int32Array {
  const n = ids.length;
  const order = Int32Array.from(ids, (_, at) => at);
  let rank = Int32Array.from(ids);
  for (let length = 1; ; length *= 2) {
    const second = (at: number): number => (at + length < n ? (rank[at + length] as number) : -1);
    const compare = (a: number, b: number): number =>
      (rank[a] as number) - (rank[b] as number) || second(a) - second(b);
    order.sort(compare);
    const next = new Int32Array(n);
    for (let i = 1; i < n; i++) {
      const isNew = compare(order[i - 1] as number, order[i] as number) < 0;
      next[order[i] as number] = (next[order[i - 1] as number] as number) + (isNew ? 1 : 0);
    }
    rank = next;
    if ((rank[order[n - 1] as number] as number) === n - 1) return order;
  }
}

/** Σ of the longest common prefixes of neighbours (Kasai et al. 2001): linear. */
function sumOfCommonPrefixes(ids: readonly number[], sorted: Int32Array): number {
  const n = ids.length;
  const position = new Int32Array(n);
  sorted.forEach((start, at) => (position[start] = at));
  let sum = 0;
  let common = 0;
  for (let start = 0; start < n; start++) {
    const at = position[start] as number;
    if (at === 0) {
      common = 0;
      continue;
    }
    const before = sorted[at - 1] as number;
    while (start + common < n && before + common < n && ids[start + common] === ids[before + common]) common++;
    sum += common;
    if (common > 0) common--;
  }
  return sum;
}
