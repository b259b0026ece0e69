import { add, divide, equal, multiply, parseDecimal, rational, type Rational } from './rational.js';

/** Result of comparing an answer with the gold one. `equal` undefined: the gold answer cannot be used. */
export interface Comparison {
  equal: boolean | undefined;
  reason: string;
}

/** Decides whether an extracted answer means the gold answer. A task takes any such function. */
export type Grader = (
  gold: string,
  answer: string,
  context?: { signal?: AbortSignal },
) => Comparison | Promise<Comparison>;

/** Longer answers are compared as strings, not as numbers. */
const MAX_NUMBER_LENGTH = 400;
/** Longer answers are compared as they are. */
const MAX_TEXT_LENGTH = 10_000;

interface NumberRead {
  value: Rational;
  percent: boolean;
}

/** Layout that means nothing: dollar signs, spacing and sizing commands, brackets of math mode, bold. */
function stripLayout(text: string): string {
  return text
    .replace(/\\[!,]\s*/g, '')
    .replace(/\\[()[\]]|\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[;: ]|\\?\$|\*\*|[€£]/g, ' ')
    .replaceAll('{,}', ',')
    .replaceAll('−', '-')
    .replace(/\s+/g, ' ')
    .replace(/[.,;\\]\s*$/, '')
    .trim();
}

const ATTACHED_UNITS = 'mm|cm|km|m|kg|g|mg|ml|l|L|s|h|hours?|minutes?|°|º';

/** Text without a unit behind the number: \text{miles}, ` dollars per day`, cm, ^\circ; powers of units go too. */
function stripUnit(text: string): string {
  return text
    .replace(/(\S)\s*\\(?:text|textnormal|mathrm|mbox|textbf)\s*\{[^{}]*\}(?:\^\{?[23]\}?)?$/, '$1')
    .replace(/\s*\^\s*\{?\s*\\circ\s*\}?$/, '')
    .replace(new RegExp(`(\\d)(?:${ATTACHED_UNITS})[²³]?$`), '$1')
    .replace(/(\d|\})((?: (?!and |or )[a-zA-Z]{2,20}\.?){1,6})(?:\^?[23²³])?$/, '$1')
    .trim();
}

function unwrapText(text: string): string {
  return text.replace(/^\\(?:text|textnormal|mathrm|mbox|textbf)\s*\{([^{}]*)\}$/, '$1').trim();
}

const DECIMAL = '[+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d{1,3})?';
const GROUPED = /^([+-]?\d{1,3})((?:,\d{3})+|(?: \d{3})+)(\.\d+)?$/;

/** A decimal with or without separators between groups of three (1,234,567 or 1 234 567). */
function parseGrouped(text: string): Rational | undefined {
  const plain = text.trim();
  const groups = GROUPED.exec(plain);
  // A leading 0 is no group of thousands: 0,111 stays unread.
  if (groups && !/^[+-]?0/.test(plain)) return parseDecimal(plain.replace(/[ ,]/g, ''));
  return parseDecimal(plain);
}

const PART = '\\{\\s*([^{}]*?)\\s*\\}|(\\d)';
const FRACTION = new RegExp(`^([+-]?)\\s*(\\d*)\\s*\\\\[cdt]?frac\\s*(?:${PART})\\s*(?:${PART})$`);
const SLASHED = /^([+-]?)(?:(\d+) )?\(?([+-]?[\d.,]+)\)?\s*\/\s*\(?([\d.,]+)\)?$/;

/** \frac{a}{b}, \frac12, 3\frac12 (mixed), a/b, 1 1/2 (mixed). */
function parseFraction(text: string): Rational | undefined {
  const latex = FRACTION.exec(text);
  const slash = latex ? undefined : SLASHED.exec(text);
  const [sign, whole, above, below] = latex
    ? [latex[1], latex[2], latex[3] ?? latex[4], latex[5] ?? latex[6]]
    : slash
      ? slash.slice(1)
      : [];
  const numerator = above === undefined ? undefined : parseGrouped(above);
  const denominator = below === undefined ? undefined : parseGrouped(below);
  const value = numerator && denominator && divide(numerator, denominator);
  const mixed = value && whole ? add(rational(BigInt(whole)) as Rational, value) : value;
  return mixed && sign === '-' ? { ...mixed, numerator: -mixed.numerator } : mixed;
}

const SCIENTIFIC = new RegExp(
  `^(${DECIMAL})\\s*(?:\\\\times|\\\\cdot|[x×*])\\s*10\\s*\\^\\s*\\{?\\s*([+-]?\\d{1,3})\\s*\\}?$`,
);

function parseScientific(text: string): Rational | undefined {
  const match = SCIENTIFIC.exec(text);
  const mantissa = match && parseDecimal(match[1] as string);
  const power = match && parseDecimal(`1e${match[2]}`);
  return mantissa && power ? multiply(mantissa, power) : undefined;
}

/**
 * Reads an answer as one number, exactly. Understood: signs, thousands separators, $ and other layout, units in words
 * or \text{}, degrees, percent (kept as a flag, the value is not divided), `x =` before it, decimals and exponents,
 * a/b, \frac in its spellings, mixed numbers, a \times 10^n.
 * @returns undefined when the text is anything else (lists, intervals, algebra, roots, decimal commas).
 */
export function parseNumber(text: string): NumberRead | undefined {
  if (text.length > MAX_NUMBER_LENGTH) return undefined;
  let rest = unwrapText(stripLayout(text)).replace(/^[a-zA-Z](?:_\{?\w\}?)?\s*=\s*/, '');
  const bare = rest.replace(/\s*(?:\\?%|percent|pct)\.?$/i, '');
  const percent = bare !== rest;
  rest = stripUnit(bare);
  const inner = /^\(([^()]*)\)$/.exec(rest)?.[1] ?? rest;
  const value = parseGrouped(inner) ?? parseFraction(inner.trim()) ?? parseScientific(inner.trim());
  return value && { value, percent };
}

/** Layout, spaces and spellings of \frac and \text taken away, so that equal writings compare equal. */
export function normalizeText(text: string): string {
  if (text.length > MAX_TEXT_LENGTH) return text;
  return stripLayout(text)
    .replace(/\\[cdt]frac/g, '\\frac')
    .replace(/\\(?:text|textnormal|mathrm|mbox|textbf)\s*\{([^{}]*)\}/g, '$1')
    .replace(/\^\{?\\circ\}?/g, '')
    .replace(/\s+/g, '');
}

/**
 * Numbers are equal as exact fractions; 50% equals 50 and also 0.5, as Math-Verify tries both. Where a side is not a
 * number, the normalised writings must be the same.
 */
export const gradeNumeric = (gold: string, answer: string): Comparison => {
  if (normalizeText(gold) === '') return { equal: undefined, reason: 'the gold answer is empty' };
  const [wanted, given] = [parseNumber(gold), parseNumber(answer)];
  if (!wanted || !given) {
    const same = normalizeText(gold) === normalizeText(answer);
    return { equal: same, reason: same ? 'same writing' : 'not the same writing' };
  }
  const same = equal(wanted.value, given.value) || (wanted.percent !== given.percent && equalAsShare(wanted, given));
  return { equal: same, reason: same ? 'same number' : 'not the same number' };
};

function equalAsShare(a: NumberRead, b: NumberRead): boolean {
  const [percent, plain] = a.percent ? [a, b] : [b, a];
  const share = divide(percent.value, rational(100n) as Rational);
  return share !== undefined && equal(share, plain.value);
}
