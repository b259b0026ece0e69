import type { RandomStream } from '../../src/core/index.js';

/** A way to write an answer differently. `keeps`: the meaning stays, so the grader has to say correct; else wrong. */
export interface Rewrite {
  name: string;
  keeps: boolean;
  /** The rewritten answer, or undefined where the rewrite has nothing to act on. */
  apply(gold: string, random: RandomStream): string | undefined;
}

const INTEGER = /^-?\d{1,12}$/;
const FRACTION = /^(-?)\\[dt]?frac\{(\d{1,6})\}\{(\d{1,6})\}$/;
const TUPLE = /^\(([^()[\]{}]+(?:,[^()[\]{}]+)+)\)$/;
const INTERVAL = /^([[(])([^()[\]]+),([^()[\]]+)([\])])$/;
const LIST = /^-?[\d.]+(?:, ?-?[\d.]+)+$/;
const isOneExpression = (gold: string): boolean =>
  /^[^,;:=<>]*$/.test(gold) &&
  !/\\(?:text|mbox|begin|in|cup|le|ge|pm|%)|[A-Z_%$]|\\[(['"]|where|\.$/.test(gold) &&
  gold.length < 80;
const isMaths = (gold: string): boolean =>
  !/[^ -~]|\\text|\\boxed|\\\(|\\mbox|[A-Za-z]{4,}\s|[“"]/.test(gold.replace(/\\[a-zA-Z]+/g, '')) &&
  !/[$]/.test(gold) &&
  !gold.includes('\n');

const when =
  (test: (gold: string) => boolean, change: (gold: string) => string) =>
  (gold: string): string | undefined => {
    if (!test(gold)) return undefined;
    const changed = change(gold);
    return changed === gold ? undefined : changed;
  };
const matched =
  (pattern: RegExp, change: (match: RegExpExecArray, random: RandomStream) => string | undefined) =>
  (gold: string, random: RandomStream): string | undefined => {
    const match = pattern.exec(gold);
    return match ? change(match, random) : undefined;
  };
const grouped = (digits: string, separator: string): string => digits.replace(/\B(?=(?:\d{3})+$)/g, separator);
const parts = (list: string): string[] => list.split(',').map((part) => part.trim());
const rotated = <T>(items: readonly T[]): T[] => [...items.slice(1), items[0] as T];
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Whether a decimal of the fraction ends. */
function decimalOf(over: number, under: number): string | undefined {
  let rest = under / gcd(over, under);
  for (const prime of [2, 5]) while (rest % prime === 0) rest /= prime;
  return rest === 1 && under < 1e4 ? String(over / under) : undefined;
}

export const KEEPING: readonly Rewrite[] = [
  { name: 'spaces between tokens', keeps: true, apply: when(isMaths, (g) => g.replace(/([+=*(),{}])(?! )/g, '$1 ')) },
  {
    name: 'no spaces',
    keeps: true,
    apply: when(
      (g) => isMaths(g) && !/\d \d|\\[a-zA-Z]+ |[a-zA-Z] [a-zA-Z]/.test(g),
      (g) => g.replace(/ /g, ''),
    ),
  },
  {
    name: 'dfrac for frac',
    keeps: true,
    apply: when(
      (g) => g.includes('\\frac'),
      (g) => g.replaceAll('\\frac', '\\dfrac'),
    ),
  },
  {
    name: 'left and right',
    keeps: true,
    apply: when(
      (g) =>
        isMaths(g) &&
        !g.includes('\\left') &&
        !/^[a-z]\(0,/.test(g) &&
        /[([]/.test(g) &&
        !g.includes('\\{') &&
        !g.includes('\\sqrt['),
      (g) => g.replace(/[([]/g, '\\left$&').replace(/[)\]]/g, '\\right$&'),
    ),
  },
  {
    name: 'without left and right',
    keeps: true,
    apply: when(
      (g) => isMaths(g) && g.includes('\\left'),
      (g) => g.replace(/\\(?:left|right)(?![a-z])/g, ''),
    ),
  },
  {
    name: 'thin spaces',
    keeps: true,
    apply: when(
      (g) => isMaths(g) && g.includes('+'),
      (g) => g.replace(/ ?\+ ?/g, '\\,+\\;'),
    ),
  },
  { name: 'dollars around', keeps: true, apply: when(isMaths, (g) => `$${g}$`) },
  { name: 'display brackets', keeps: true, apply: when(isMaths, (g) => `\\[ ${g} \\]`) },
  { name: 'full stop behind', keeps: true, apply: when(isMaths, (g) => `${g}.`) },
  {
    name: 'named: x =',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g) && !/[a-z]/.test(g.replace(/\\[a-zA-Z]+/g, '')),
      (g) => `x = ${g}`,
    ),
  },
  {
    name: 'thousands with commas',
    keeps: true,
    apply: matched(/^(-?)(\d{4,12})$/, ([, sign, digits]) => `${sign}${grouped(digits as string, ',')}`),
  },
  {
    name: 'thousands with {,}',
    keeps: true,
    apply: matched(/^(-?)(\d{4,12})$/, ([, sign, digits]) => `${sign}${grouped(digits as string, '{,}')}`),
  },
  {
    name: 'thousands with \\,',
    keeps: true,
    apply: matched(/^(-?)(\d{4,12})$/, ([, sign, digits]) => `${sign}${grouped(digits as string, '\\,')}`),
  },
  {
    name: 'integer with .0',
    keeps: true,
    apply: when(
      (g) => INTEGER.test(g),
      (g) => `${g}.0`,
    ),
  },
  {
    name: 'integer as fraction over 1',
    keeps: true,
    apply: when(
      (g) => INTEGER.test(g),
      (g) => `\\frac{${g}}{1}`,
    ),
  },
  {
    name: 'integer in words of units',
    keeps: true,
    apply: when(
      (g) => INTEGER.test(g),
      (g) => `${g} \\text{ units}`,
    ),
  },
  {
    name: 'scientific',
    keeps: true,
    apply: when(
      (g) => INTEGER.test(g),
      (g) => `${g}00 \\times 10^{-2}`,
    ),
  },
  {
    name: 'fraction with slash',
    keeps: true,
    apply: matched(FRACTION, ([, sign, over, under]) => `${sign}${over}/${under}`),
  },
  {
    name: 'fraction doubled',
    keeps: true,
    apply: matched(FRACTION, ([, sign, over, under]) => `${sign}\\frac{${2 * Number(over)}}{${2 * Number(under)}}`),
  },
  {
    name: 'sign inside the fraction',
    keeps: true,
    apply: matched(FRACTION, ([, sign, over, under]) => (sign === '-' ? `\\frac{-${over}}{${under}}` : undefined)),
  },
  {
    name: 'fraction as decimal',
    keeps: true,
    apply: matched(FRACTION, ([, sign, over, under]) => {
      const decimal = decimalOf(Number(over), Number(under));
      return decimal && `${sign}${decimal}`;
    }),
  },
  {
    name: 'mixed number',
    keeps: true,
    apply: matched(FRACTION, ([, sign, over, under]) => {
      const [a, b] = [Number(over), Number(under)];
      return a > b && a % b !== 0 ? `${sign}${Math.floor(a / b)}\\frac{${a % b}}{${b}}` : undefined;
    }),
  },
  {
    name: 'terms in brackets',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g),
      (g) => `(${g})`,
    ),
  },
  {
    name: 'doubled and halved',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g),
      (g) => `\\frac{2(${g})}{2}`,
    ),
  },
  {
    name: 'one added and taken',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g) && !/degree|circ/.test(g),
      (g) => `${g} + 1 - 1`,
    ),
  },
  {
    name: 'root as power',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && /\\sqrt\{\d+\}/.test(g),
      (g) => g.replace(/\\sqrt\{(\d+)\}/g, '($1)^{1/2}'),
    ),
  },
  {
    name: 'square under the root',
    keeps: true,
    apply: when(
      (g) => isOneExpression(g) && /\\sqrt\{\d+\}/.test(g),
      (g) => g.replace(/\\sqrt\{(\d+)\}/g, '\\frac{\\sqrt{9 \\cdot $1}}{3}'),
    ),
  },
  {
    name: 'Unicode root and pi',
    keeps: true,
    apply: when(
      (g) => /\\sqrt\{\d+\}|\\pi/.test(g),
      (g) => g.replace(/\\sqrt\{(\d+)\}/g, '√($1)').replace(/\\pi ?/g, 'π '),
    ),
  },
  {
    name: 'degrees as radians',
    keeps: true,
    apply: matched(/^(\d+)\^\{?\\circ\}?$/, ([, degrees]) => `\\frac{${degrees}\\pi}{180}`),
  },
  { name: 'degree sign left out', keeps: true, apply: matched(/^(\d+)\^\{?\\circ\}?$/, ([, degrees]) => degrees) },
  {
    name: 'members in another order',
    keeps: true,
    apply: matched(LIST, ([list]) => rotated(parts(list as string)).join(', ')),
  },
  { name: 'list as set', keeps: true, apply: matched(LIST, ([list]) => `\\{${list}\\}`) },
  {
    name: 'list with and',
    keeps: true,
    apply: matched(LIST, ([list]) => {
      const all = parts(list as string);
      return `${all.slice(0, -1).join(', ')} \\text{ and } ${all.at(-1)}`;
    }),
  },
  {
    name: 'tuple with spaces',
    keeps: true,
    apply: matched(TUPLE, ([, inner]) => `( ${parts(inner as string).join(' , ')} )`),
  },
  {
    name: 'interval as in',
    keeps: true,
    apply: (g) => (INTERVAL.test(g) && /^\[|\]$|infty/.test(g) ? `x \\in ${g}` : undefined),
  },
  {
    name: 'pmatrix as bmatrix',
    keeps: true,
    apply: when(
      (g) => g.includes('{pmatrix}'),
      (g) => g.replaceAll('{pmatrix}', '{bmatrix}'),
    ),
  },
  {
    name: 'prose around a box',
    keeps: true,
    apply: when(
      (g) => isMaths(g),
      (g) => `Adding up, we get the value \\boxed{${g}}, as was to be shown.`,
    ),
  },
  { name: 'percent as share', keeps: true, apply: matched(/^(\d+)\\?%$/, ([, value]) => `\\frac{${value}}{100}`) },
  {
    name: 'equation turned round',
    keeps: true,
    apply: matched(/^(y) = ([^=]+)$/, ([, name, value]) => `${value} = ${name}`),
  },
];

const changedDigit = (text: string, random: RandomStream): string => {
  const places = [...text.matchAll(/\d/g)];
  const place = places[random.nextInt(0, places.length - 1)] as RegExpExecArray;
  return `${text.slice(0, place.index)}${(Number(place[0]) + random.nextInt(1, 9)) % 10}${text.slice(place.index + 1)}`;
};

export const CHANGING: readonly Rewrite[] = [
  {
    name: 'sign',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g) && g !== '0',
      (g) => `-(${g})`,
    ),
  },
  {
    name: 'a digit of a number',
    keeps: false,
    apply: (g, random) => {
      if (!/^-?\d+(?:\.\d+)?$/.test(g)) return undefined;
      const changed = changedDigit(g, random);
      return Number(changed) === Number(g) ? undefined : changed;
    },
  },
  {
    name: 'a digit of a fraction',
    keeps: false,
    apply: matched(FRACTION, ([, sign, over, under], random) => {
      const changed = changedDigit(over as string, random);
      return Number(changed) === Number(over) ? undefined : `${sign}\\frac{${changed}}{${under}}`;
    }),
  },
  {
    name: 'turned fraction',
    keeps: false,
    apply: matched(FRACTION, ([, sign, over, under]) =>
      over === under || over === '0' ? undefined : `${sign}\\frac{${under}}{${over}}`,
    ),
  },
  {
    name: 'off by one',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g),
      (g) => `${g} + 1`,
    ),
  },
  {
    name: 'off by a part in a million',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g) && g !== '0' && !/\./.test(g),
      (g) => `\\frac{1000001(${g})}{1000000}`,
    ),
  },
  {
    name: 'exponent off by one',
    keeps: false,
    apply: matched(/^([^,=]*[a-z\d)])\^\{?(\d+)\}?([^,=]*)$/, ([, before, exponent, after]) =>
      /\\(?:text|begin|circ|mbox)|[_%]|\\infty|(?<![\d])[01]$/.test(`${before}${after}`) ||
      /(?<!\d)1$/.test(before as string)
        ? undefined
        : `${before}^{${Number(exponent) + 1}}${after}`,
    ),
  },
  {
    name: 'bracket type',
    keeps: false,
    apply: matched(INTERVAL, ([, open, low, high, close]) =>
      /infty/.test(low as string) || (open === '(' && close === ')' && !/infty/.test(high as string))
        ? undefined
        : `${open === '[' ? '(' : '['}${low},${high}${close}`,
    ),
  },
  {
    name: 'tuple order',
    keeps: false,
    apply: matched(TUPLE, ([, inner]) => {
      const all = parts(inner as string);
      const turned = rotated(all);
      return all.join() === turned.join() || inner?.includes('infty') ? undefined : `(${turned.join(', ')})`;
    }),
  },
  {
    name: 'dropped element',
    keeps: false,
    apply: matched(LIST, ([list]) => {
      const all = parts(list as string);
      return new Set(all).size < all.length ? undefined : all.slice(1).join(', ');
    }),
  },
  { name: 'added element', keeps: false, apply: matched(LIST, ([list]) => `${list}, 98765`) },
  {
    name: 'dropped from a tuple',
    keeps: false,
    apply: matched(
      TUPLE,
      ([, inner]) =>
        `(${parts(inner as string)
          .slice(1)
          .join(', ')})`,
    ),
  },
  {
    name: 'percent for number',
    keeps: false,
    apply: when(
      (g) => /^-?[1-9]\d*(?:\.\d+)?$/.test(g),
      (g) => `${g}\\%`,
    ),
  },
  {
    name: 'one side of plus-minus',
    keeps: false,
    apply: when(
      (g) => isMaths(g) && g.includes('\\pm') && !/[,\\{]\\pm|^\\pm/.test(g),
      (g) => g.replace('\\pm', '+'),
    ),
  },
  {
    name: 'other inequality',
    keeps: false,
    apply: when(
      (g) => isMaths(g) && /\\(?:le|ge)q?(?:slant)?(?![a-z])/.test(g),
      (g) => g.replace(/\\le(?:q|qslant)?(?![a-z])/g, '<').replace(/\\ge(?:q|qslant)?(?![a-z])/g, '>'),
    ),
  },
  {
    name: 'other root',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && /\\sqrt\{\d+\}/.test(g),
      (g) => g.replace(/\\sqrt\{(\d+)\}/, (_, n: string) => `\\sqrt{${Number(n) + 1}}`),
    ),
  },
  {
    name: 'other function',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && /\\(?:sin|cos)\b/.test(g) && /[a-z]/.test(g.replace(/\\[a-z]+/g, '')),
      (g) => g.replace(/\\(sin|cos)\b/, (_, name: string) => (name === 'sin' ? '\\cos' : '\\sin')),
    ),
  },
  {
    name: 'other name',
    keeps: false,
    apply: when(
      (g) => isOneExpression(g) && isMaths(g) && /(?<![a-zA-Z\\])[xn](?![a-zA-Z])/.test(g) && !/[a-zA-Z]\(/.test(g),
      (g) => g.replace(/(?<![a-zA-Z\\])[xn](?![a-zA-Z])/g, 'q'),
    ),
  },
  {
    name: 'matrix cell',
    keeps: false,
    apply: when(
      (g) => /\{pmatrix\}.*\d/.test(g),
      (g) => g.replace(/(\d+)(?=[^\d]*$)/, (n: string) => String(Number(n) + 1)),
    ),
  },
  {
    name: 'answer and another',
    keeps: false,
    apply: when(
      (g) => INTEGER.test(g),
      (g) => `${g} \\text{ or } ${BigInt(g) + 1n}`,
    ),
  },
];
