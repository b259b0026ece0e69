import type { RandomStream } from '../../src/core/index.js';
import {
  FRACTION,
  INTEGER,
  INTERVAL,
  LIST,
  TUPLE,
  isMaths,
  isOneExpression,
  matched,
  parts,
  rotated,
  when,
  type Rewrite,
} from './rewrites.js';

/** Edits that change what an answer means. */

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
