import type { MathNode } from './ast.js';
import { cleanMaths, textKey, THOUSANDS } from './clean.js';
import { Comparer } from './compare.js';
import { DEFAULT_RULES, type CompareRules } from './rules.js';
import { evaluate, drawn } from './evaluate.js';
import { ComplexField, NoValue } from './complex.js';
import { freeNames } from './equal.js';
import type { CommaReading } from './lexer.js';
import { Budget, DEFAULT_LIMITS, LimitReached, type MathsLimits } from './limits.js';
import { normalize } from './normal.js';
import { decimals } from './numeric.js';
import { parseMaths } from './parser.js';

/** What decided: the same tree, exact numbers, evaluation, the parts of a structure, the writing, an option letter. */
export type DecidedBy = 'same' | 'exact' | 'numeric' | 'structure' | 'text' | 'letter' | 'number';

export interface AnswerComparison {
  /** undefined: the gold answer cannot be used. */
  equal: boolean | undefined;
  by: DecidedBy;
  reason: string;
  /** Whose answer hit a limit. */
  limit?: 'gold' | 'response';
}

export interface CompareOptions extends Partial<CompareRules> {
  limits?: MathsLimits;
  /** Equal texts are equal without being read. Default true; off to test the reading itself. */
  sameText?: boolean;
}

const PLAIN = /^([+-]?)(\d{1,15})(?:\.(\d{1,15}))?$/;

/**
 * Whether two bare answers mean the same. Exact and fast for plain numbers; everything else is parsed and compared by
 * meaning, or, where either is no mathematics, by its writing. Time is bounded by counts, never by a clock.
 */
export function compareAnswers(gold: string, given: string, options: CompareOptions = {}): AnswerComparison {
  if (gold.trim() === '') return { equal: undefined, by: 'text', reason: 'the gold answer is empty' };
  if (options.sameText !== false) {
    if (gold.trim() === given.trim()) return { equal: true, by: 'text', reason: 'the same writing' };
    const plain = plainNumbers(gold, given);
    if (plain !== undefined) return plain ? equalBy('exact') : unequal('exact');
  }
  return new Comparison(gold, given, options).run();
}

/** Both sides as plain decimals, compared digit by digit; undefined when one is none, or perhaps rounded. */
function plainNumbers(gold: string, given: string): boolean | undefined {
  const [a, b] = [PLAIN.exec(gold.trim()), PLAIN.exec(given.trim())];
  if (!a || !b) return undefined;
  if (plainKey(a) === plainKey(b)) return true;
  return a[3] === undefined && b[3] === undefined ? false : undefined;
}

function plainKey([, sign, whole = '', fraction = '']: RegExpExecArray): string {
  const digits = `${whole.replace(/^0+/, '')}.${fraction.replace(/0+$/, '')}`;
  return digits === '.' ? digits : `${sign === '-' ? '-' : ''}${digits}`;
}

const equalBy = (by: DecidedBy): AnswerComparison => ({ equal: true, by, reason: REASONS[by] });
const unequal = (by: DecidedBy, reason = 'not the same'): AnswerComparison => ({ equal: false, by, reason });

const REASONS: Readonly<Record<DecidedBy, string>> = {
  same: 'the same expression',
  exact: 'the same number',
  numeric: 'the same value',
  structure: 'the same parts',
  text: 'the same writing',
  letter: 'the same option',
  number: 'the same number',
};

/** An answer that was read. */
interface Reading {
  node?: MathNode;
  unreadable?: string;
}

/** Digits and commas that could be one number or several. */
const GROUPS = /\d,\d{3}(?!\d)/;
const DECIMAL_COMMA = /^\s*-?(?:0|[1-9]\d*),(?:\d\d|\d{4,}|\d{3,}(?=\D*$))\d*\s*\D{0,3}$|^\s*-?0,\d+\s*$/;

class Comparison {
  private readonly rules: CompareRules;
  private readonly limits: MathsLimits;

  constructor(
    private readonly gold: string,
    private readonly given: string,
    options: CompareOptions,
  ) {
    const { limits, sameText: _, ...rules } = options;
    this.rules = { ...DEFAULT_RULES, ...rules };
    this.limits = limits ?? DEFAULT_LIMITS;
  }

  run(): AnswerComparison {
    const wanted = this.guarded('gold', () => read(this.gold, 'thousands', this.limits));
    if ('equal' in wanted) return wanted;
    const given = this.guarded('response', () => read(this.given, 'thousands', this.limits));
    if ('equal' in given) return given;
    const verdict = this.compare(wanted, given);
    if (verdict.equal !== false || verdict.limit) return verdict;
    return this.otherCommas() ?? verdict;
  }

  /** A limit of the gold answer leaves no verdict, unless the answer is the same text; one of the response is its own. */
  private guarded(side: 'gold' | 'response', work: () => Reading): Reading | AnswerComparison {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error;
      if (textKey(this.gold) === textKey(this.given)) return equalBy('text');
      return limited(side, error);
    }
  }

  private compare(wanted: Reading, given: Reading): AnswerComparison {
    const words = sameWords(this.gold, this.given);
    if (words) return equalBy(words);
    if (!wanted.node || !given.node) {
      if (textKey(this.gold) === textKey(this.given)) return equalBy('text');
      const unread = wanted.node ? `the answer is not understood (${given.unreadable})` : 'not the same writing';
      return unequal('text', unread);
    }
    if (areDifferentWords(this.gold, this.given)) return unequal('text', 'not the same word');
    return this.compareNodes(wanted.node, given.node);
  }

  private compareNodes(gold: MathNode, given: MathNode): AnswerComparison {
    const comparer = new Comparer(this.rules, new Budget(this.limits));
    try {
      const equal = comparer.same(gold, given);
      const by: DecidedBy =
        (['structure', 'numeric', 'exact'] as const).find((method) => comparer.methods.has(method)) ?? 'same';
      return equal ? equalBy(by) : unequal(by);
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error;
      return limited(hitsLimit(gold, this.limits) ? 'gold' : 'response', error);
    }
  }

  /** The other readings of commas: 1,234 as two numbers, 1000,99 as a decimal. */
  private otherCommas(): AnswerComparison | undefined {
    const readings: [CommaReading, CommaReading][] = [];
    const [goldGroups, givenGroups] = [GROUPS.test(this.gold), GROUPS.test(this.given)];
    if (goldGroups) readings.push(['separator', givenGroups ? 'separator' : 'thousands']);
    if (givenGroups && this.gold.includes(',')) readings.push(['thousands', 'separator']);
    if (DECIMAL_COMMA.test(this.given) && !this.gold.includes(',')) readings.push(['thousands', 'decimal']);
    if (DECIMAL_COMMA.test(this.gold) && !this.given.includes(',')) readings.push(['decimal', 'thousands']);
    for (const [goldCommas, givenCommas] of readings) {
      const [wanted, given] = [read(this.gold, goldCommas, this.limits), read(this.given, givenCommas, this.limits)];
      if (wanted.node && given.node && this.compareNodes(wanted.node, given.node).equal) return equalBy('exact');
    }
    return undefined;
  }
}

function limited(side: 'gold' | 'response', { message }: LimitReached): AnswerComparison {
  return side === 'gold'
    ? { equal: undefined, by: 'text', reason: `the gold answer takes ${message}`, limit: 'gold' }
    : { equal: false, by: 'text', reason: `the answer takes ${message}`, limit: 'response' };
}

/** Readings of texts seen before: a gold answer is compared with many responses. */
const readings = new Map<string, Reading>();
const MAX_READINGS = 2000;

/** @throws LimitReached */
function read(text: string, commas: CommaReading, limits: MathsLimits): Reading {
  const key = limits === DEFAULT_LIMITS && text.length <= 200 ? `${commas}:${text}` : undefined;
  const known = key === undefined ? undefined : readings.get(key);
  if (known) return known;
  const reading = readAnew(text, commas, limits);
  if (key !== undefined) {
    if (readings.size >= MAX_READINGS) readings.clear();
    readings.set(key, reading);
  }
  return reading;
}

function readAnew(text: string, commas: CommaReading, limits: MathsLimits): Reading {
  if (text.length > limits.characters) throw new LimitReached('characters', limits.characters);
  const budget = new Budget(limits);
  const parsed = parseMaths(text, commas, budget);
  return 'node' in parsed ? { node: normalize(parsed.node, budget) } : parsed;
}

/** Whether the gold answer alone takes more work than half of what is allowed. */
function hitsLimit(gold: MathNode, limits: MathsLimits): boolean {
  const env = new Map(
    freeNames(gold).map((name) => [name, { re: decimals.from(drawn(name, 0, 'whole')), im: decimals.zero }]),
  );
  try {
    for (let point = 0; point < 4; point++)
      evaluate(gold, env, new ComplexField(decimals), new Budget({ ...limits, work: limits.work / 8 }));
    return false;
  } catch (error) {
    if (error instanceof LimitReached) return true;
    if (error instanceof NoValue) return false;
    throw error;
  }
}

const LETTERS = /^[a-zA-Z]+$/;
/** Short words that are no products of names. */
const SHORT_WORDS = new Set([
  'no',
  'on',
  'or',
  'so',
  'is',
  'it',
  'at',
  'to',
  'an',
  'as',
  'of',
  'ok',
  'yes',
  'odd',
  'one',
  'two',
  'six',
  'ten',
  'red',
  'blue',
  'own',
  'now',
  'won',
  'not',
  'ton',
  'was',
  'saw',
  'god',
  'dog',
  'cat',
  'act',
  'ten',
  'net',
  'and',
  'dan',
  'tan',
  'nat',
  'mon',
  'sun',
  'tue',
  'wed',
  'fri',
  'sat',
  'may',
  'yam',
  'jan',
  'feb',
]);

/** An option letter in its usual coats: (C), C., \textbf{(C)}, (C) 12. */
const OPTION = /^\\?(?:text(?:bf|rm|it)?|mathrm|mathbf)?\s*\{?\s*\(?\s*([A-Ha-h])\s*(?:\)|\.|:|\}|$)\s*\}?\s*(.*)$/s;

/** Equal words, whatever their case, and equal option letters. */
function sameWords(gold: string, given: string): 'text' | 'letter' | undefined {
  const [a, b] = [textKey(gold), textKey(given)];
  if (LETTERS.test(a) && a.toLowerCase() === b.toLowerCase() && (a.length > 1 || a === b || /[A-H]/.test(a)))
    return a.length > 1 ? 'text' : 'letter';
  const option = optionOf(gold, false);
  return option !== undefined && option === optionOf(given, true) ? 'letter' : undefined;
}

/** The letter of a multiple-choice answer; a gold one has to be the letter alone. */
function optionOf(text: string, withText: boolean): string | undefined {
  const [, letter, rest] = OPTION.exec(cleanMaths(text)) ?? [];
  if (letter === undefined || (rest !== '' && !withText)) return undefined;
  if (
    rest !== '' &&
    !/^\s*(?:\\text(?:bf)?\s*\{)?\s*\(?[A-H]\)/.test(cleanMaths(text)) &&
    !/^[A-H][.:]/.test(cleanMaths(text))
  )
    return undefined;
  return letter.toUpperCase();
}

/** Words are compared as words: `on` is not `no`, though as products of names they are equal. */
function areDifferentWords(gold: string, given: string): boolean {
  const [a, b] = [textKey(gold).toLowerCase(), textKey(given).toLowerCase()];
  if (!LETTERS.test(a) || !LETTERS.test(b)) return false;
  return a !== b && [a, b].some((word) => word.length > 3 || SHORT_WORDS.has(word));
}

/** A text with its commas of thousands taken out, for messages. */
export const plainWriting = (text: string): string => cleanMaths(text).replaceAll(THOUSANDS, ',');
