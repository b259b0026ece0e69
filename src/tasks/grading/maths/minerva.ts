/**
 * The normalisation of answers by Minerva (Lewkowycz et al. 2022, appendix D.1) as DAPO's reward uses it: layout, units
 * and articles are taken away, fractions and roots get their braces, and what is left is compared as text.
 */

const SUBSTITUTIONS: readonly (readonly [string, string])[] = [
  ['an ', ''],
  ['a ', ''],
  ['.$', '$'],
  ['\\$', ''],
  ['\\ ', ''],
  [' ', ''],
  ['mbox', 'text'],
  [',\\text{and}', ','],
  ['\\text{and}', ','],
  ['\\text{m}', '\\text{}'],
];

const REMOVED: readonly string[] = [
  'square',
  'ways',
  'integers',
  'dollars',
  'mph',
  'inches',
  'hours',
  'km',
  'units',
  '\\ldots',
  'sue',
  'points',
  'feet',
  'minutes',
  'digits',
  'cents',
  'degrees',
  'cm',
  'gm',
  'pounds',
  'meters',
  'meals',
  'edges',
  'students',
  'childrentickets',
  'multiples',
  '\\text{s}',
  '\\text{.}',
  '\\text{\ns}',
  '\\text{}^2',
  '\\text{}^3',
  '\\text{\n}',
  '\\text{}',
  '\\mathrm{th}',
  '^\\circ',
  '^{\\circ}',
  '\\;',
  ',\\!',
  '{,}',
  '"',
  '\\dots',
];

/** A gold answer as DAPO's data sets store it: 42.0 and 4.2e1 are the integer 42 (slime, math_dapo_utils.py). */
export function minervaGold(gold: string): string {
  const isFloat = /^\s*-?\d{1,15}(?:\.\d{1,15})?(?:[eE]\+?\d{1,2})?\s*$/.test(gold) && /[.eE]/.test(gold);
  const value = Number(gold);
  return minervaForm(isFloat && Number.isSafeInteger(value) ? String(value) : gold);
}

/** An answer as Minerva compares it. */
export function minervaForm(answer: string): string {
  let form = answer.split('=').at(-1) ?? '';
  for (const [from, to] of SUBSTITUTIONS) form = form.replaceAll(from, to);
  for (const word of REMOVED) form = form.replaceAll(word, '');
  form = form
    .replace(/^(.{0,2000}?)(\$)(.{0,2000}?)(\$)(.*)$/s, '$$$3$$')
    .replace(/\\(?:text|textbf|overline|boxed)\{([^{}]*)\}/g, '$1')
    .replace(/frac([^{])(.)/g, 'frac{$1}{$2}')
    .replace(/sqrt([^{])/g, 'sqrt{$1}')
    .replaceAll('$', '');
  return /^[\d,]+$/.test(form) ? form.replaceAll(',', '') : form;
}
