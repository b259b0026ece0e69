import { reflectionKeywords, type KeywordListName } from '../tasks/signals/keywords.js';

/** Lists whose words are counted, with the prefix of their classes in metrics. */
const LISTS: readonly [list: KeywordListName, prefix: string][] = [
  ['still-3', 'keywords.'],
  ['dr-grpo', 'keywords.dr_grpo.'],
  ['open-reasoner-zero', 'keywords.orz.'],
];

/**
 * Share of texts with at least one word of a class, for every published list: `keywords.verification`, `.reflection` and
 * `.correction` (STILL-3), `keywords.dr_grpo.reflection`, `keywords.orz.reflection`. Empty without texts.
 */
export function keywordShares(texts: readonly string[]): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const text of texts)
    for (const [list, prefix] of LISTS)
      for (const [name, count] of Object.entries(reflectionKeywords(text, list).classes)) {
        const key = prefix + name;
        shares[key] = (shares[key] ?? 0) + Number(count > 0) / texts.length;
      }
  return shares;
}

/** Seconds of an iteration by what they were spent on. */
export interface TimeSplit {
  /** Wall-clock of the whole iteration. */
  total: number;
  sampling: number;
  grading: number;
  forward: number;
  backward: number;
  optimizer: number;
}

/** Share of an iteration in which nothing of the split ran: bookkeeping, writing, waiting. */
export function idleShare({ total, ...parts }: TimeSplit): number {
  const busy = Object.values(parts).reduce((sum, seconds) => sum + seconds, 0);
  return total > 0 ? Math.max(0, total - busy) / total : 0;
}
