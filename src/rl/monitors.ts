import type { ModelTime, TrainableModel } from '../engine/types.js';
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

const TIMES = ['forward', 'backward', 'optimizer'] as const;

/** What the models of a run have spent so far, each counted once; undefined when one does not tell. */
export function timeSpent(models: readonly (TrainableModel | undefined)[]): ModelTime | undefined {
  const each = [...new Set(models)].flatMap((model) => (model ? [model.spent] : []));
  const sum = (what: keyof ModelTime) => each.reduce((seconds, spent) => seconds + (spent?.[what] ?? NaN), 0);
  const total = { forward: sum('forward'), backward: sum('backward'), optimizer: sum('optimizer') };
  return Number.isNaN(total.forward) ? undefined : total;
}

/** What was spent between two readings. */
export function timeBetween(before: ModelTime | undefined, after: ModelTime | undefined): ModelTime | undefined {
  if (!before || !after) return undefined;
  const [forward = 0, backward = 0, optimizer = 0] = TIMES.map((what) => after[what] - before[what]);
  return { forward, backward, optimizer };
}
