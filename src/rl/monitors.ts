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

/** Share of an iteration in which none of its parts ran: bookkeeping, writing, waiting. @param parts seconds of each. */
export function idleShare(seconds: number, parts: readonly number[]): number {
  const busy = parts.reduce((sum, part) => sum + part, 0);
  return seconds > 0 ? Math.max(0, seconds - busy) / seconds : 0;
}
