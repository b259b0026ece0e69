import { HoneError } from '../../core/index.js';

/** Words that show what a chain of thought does, by class. */
export interface KeywordList {
  /** Paper and section, or file. */
  source: string;
  /** Class -> words and phrases, matched whole; a class of patterns is matched as its authors wrote it. */
  classes: Readonly<Record<string, readonly (string | RegExp)[]>>;
}

/** Published lists. */
export const KEYWORD_LISTS = {
  'still-3': {
    source: 'STILL-3, arXiv 2503.04548, section 3.2 and Fig. 4',
    classes: {
      verification: ['verify', 'double check', 'confirm'],
      reflection: ['however', 'reflect', 'wait'],
      correction: ['correct', 'revise', 'adjust'],
    },
  },
  'still-3-actions': {
    source: 'STILL-3, arXiv 2503.04548, section 4.2: words that the reward RRA counts',
    classes: { action: ['however', 'but', 'wait', 'verify', 'alternatively'] },
  },
  'dr-grpo': {
    source: 'Dr. GRPO, arXiv 2503.20783, Appendix D: pool for self-reflection',
    classes: {
      reflection: [
        ...['recheck', 'rethink', 'reassess', 'reevaluate', 're-evaluate', 'reevaluation', 're-examine', 'reexamine'],
        ...['reconsider', 'reanalyze', 'double-check', 'check again', 'think again', 'verify again'],
        'go over the steps',
      ],
    },
  },
  'open-reasoner-zero': {
    source: 'Open-Reasoner-Zero, playground/orz_7b_ppo.py: patterns, case matters',
    classes: { reflection: [/wait,/g, /recheck[,\s]/g, /retry/g, /alternatively,/g, /however,/g] },
  },
  'think-twice': {
    source: 'Think Twice, arXiv 2503.19855, section 3.2.2',
    classes: { hedging: ['but', 'wait', 'maybe'], conclusion: ['therefore'] },
  },
} as const satisfies Record<string, KeywordList>;

export type KeywordListName = keyof typeof KEYWORD_LISTS;

export interface KeywordCounts {
  /** Occurrences by class. */
  classes: Record<string, number>;
  total: number;
}

/**
 * Counts the words of a list in a text, by class. Words are matched whole and in any case ("wait" is not in "waiting"),
 * spaces match any white space, and words of one class do not overlap. Nothing is left out: give the thought alone where
 * only the thought shall count.
 * @throws HoneError usage for a name that is no list.
 */
export function reflectionKeywords(text: string, list: KeywordListName | KeywordList = 'still-3'): KeywordCounts {
  const { classes } = keywordList(list);
  const counts = Object.entries(classes).map(([name, words]): [string, number] => [name, occurrences(text, words)]);
  return { classes: Object.fromEntries(counts), total: counts.reduce((sum, [, count]) => sum + count, 0) };
}

/** The list of a name; a list of one's own as it is. @throws HoneError usage for a name that is no list. */
export function keywordList(list: KeywordListName | KeywordList): KeywordList {
  return typeof list === 'string' ? named(list) : list;
}

function named(name: KeywordListName): KeywordList {
  if (Object.hasOwn(KEYWORD_LISTS, name)) return KEYWORD_LISTS[name];
  throw new HoneError('usage', `there is no list of keywords "${String(name)}"`, {
    hint: `Lists: ${Object.keys(KEYWORD_LISTS).join(', ')}; or give {source, classes}.`,
  });
}

type Words = readonly (string | RegExp)[];

function occurrences(text: string, words: Words): number {
  return patternsOf(words).reduce((sum, pattern) => sum + (text.match(pattern)?.length ?? 0), 0);
}

/** What has been made of a class, which is asked for again with every text. */
const known = new WeakMap<Words, RegExp[]>();

/** Global patterns that together match a class. */
function patternsOf(words: Words): RegExp[] {
  const before = known.get(words);
  if (before) return before;
  const patterns = words.flatMap((word) => (typeof word === 'string' ? [] : [word]));
  const plain = words.filter((word) => typeof word === 'string');
  const all = patterns.map(({ source, flags }) => new RegExp(source, asGlobal(flags)));
  if (plain.length > 0) all.push(anyOf(plain));
  known.set(words, all);
  return all;
}

const asGlobal = (flags: string): string => (flags.includes('g') ? flags : `${flags}g`);

/** One pattern for all words, longer ones first, so that "double check" is not also "check". */
function anyOf(words: readonly string[]): RegExp {
  const sources = words
    .toSorted((a, b) => b.length - a.length)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+'));
  return new RegExp(`(?<![\\p{L}\\p{N}_])(?:${sources.join('|')})(?![\\p{L}\\p{N}_])`, 'giu');
}
