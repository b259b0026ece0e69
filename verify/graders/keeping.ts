import {
  FRACTION,
  INTEGER,
  INTERVAL,
  LIST,
  TUPLE,
  decimalOf,
  grouped,
  isMaths,
  isOneExpression,
  matched,
  parts,
  rotated,
  when,
  type Rewrite,
} from './rewrites.js';

/** Ways to write an answer that keep its meaning. */
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
