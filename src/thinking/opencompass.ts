/**
 * Extraction and comparison as SIFT's public code has them: OpenCompass 0.3.4, math_postprocess_v2 and
 * MATHEvaluator(version='v2') (Apache-2.0; rewritten from their behaviour). The word lists are those of Minerva's answer
 * normalisation (Lewkowycz et al. 2022, appendix D.1). Only for `equivalence: 'opencompass'`; hone's own graders are in
 * tasks/.
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
  ['\\le', '<'],
];

const REMOVED: readonly string[] = [
  ...['square', 'ways', 'integers', 'dollars', 'mph', 'inches', 'ft', 'hours', 'km', 'units', '\\ldots', 'sue'],
  ...['points', 'feet', 'minutes', 'digits', 'cents', 'degrees', 'cm', 'gm', 'pounds', 'meters', 'meals', 'edges'],
  ...['students', 'childrentickets', 'multiples', '\\text{s}', '\\text{.}', '\\text{\ns}', '\\text{}^2', '\\text{}^3'],
  ...['\\text{\n}', '\\text{}', '\\mathrm{th}', '^\\circ', '^{\\circ}', '\\;', ',\\!', '{,}', '"', '\\dots'],
  ...['\n', '\r', '\f'],
];

/**
 * Always a string: the last balanced box as it stands; else the first piece between full stops that speaks of an answer;
 * else the first piece.
 */
export function opencompassAnswer(text: string): string {
  const boxed = lastBox(text);
  if (boxed !== undefined && boxed !== '') return boxed;
  const pieces = text.split('.');
  const said = pieces.find((piece) => /final answer|answer is/.test(piece.toLowerCase()));
  return normalise(said ?? (pieces[0] as string));
}

/** Content of the last \boxed or \fbox whose braces balance; undefined when that one does not. */
function lastBox(text: string): string | undefined {
  const start = Math.max(text.lastIndexOf('\\boxed{'), text.lastIndexOf('\\fbox{'));
  if (start < 0) return undefined;
  const open = text.indexOf('{', start);
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '{') depth++;
    if (text[i] === '}' && --depth === 0) return unwrapped(text.slice(open + 1, i));
  }
  return undefined;
}

const unwrapped = (text: string): string => /^\{([\s\S]*)\}$/.exec(text)?.[1] ?? text;

const lastMatch = (text: string, pattern: RegExp): string | undefined => [...text.matchAll(pattern)].at(-1)?.[1];

function normalise(text: string): string {
  let answer = text;
  for (const [from, to] of SUBSTITUTIONS) answer = answer.replaceAll(from, to);
  for (const word of REMOVED) answer = answer.replaceAll(word, '');
  for (const command of ['text', 'textbf', 'overline', 'boxed'])
    answer = answer.replace(new RegExp(`(\\\\${command}\\{)([^{}]*)(\\})`, 'g'), '$2');
  answer = lastMatch(answer, /finalansweris(.*)/g) ?? answer;
  answer = lastMatch(answer, /answer?is:?(.*)/g) ?? answer;
  answer = lastMatch(answer, /oxed\{([^{}]*)\}/g) ?? answer;
  answer = lastMatch(answer, /\$([^$]*)\$/g) ?? answer;
  answer = answer.trim();
  if (answer.includes('rac') && !answer.includes('\\frac')) answer = answer.replaceAll('rac', '\\frac');
  answer = answer
    .replace(/(frac)([^{])(.)/g, '$1{$2}{$3}')
    .replace(/(sqrt)([^{])/g, '$1{$2}')
    .replaceAll('$', '');
  return /^\d+$/.test(answer.replaceAll(',', '')) ? answer.replaceAll(',', '') : answer;
}

/** Equality of the strings after the LaTeX clean-up of version 2: no numbers, no algebra. */
export function opencompassEquivalent(a: string, b: string): boolean {
  return cleaned(a) === cleaned(b);
}

const CLEANING: readonly (readonly [RegExp, string])[] = [
  [/\n/g, ''],
  [/\.+$/, ''],
  [/\\!|\\ /g, ''],
  [/\\\\/g, '\\'],
  [/[td]frac/g, 'frac'],
  [/\\left|\\right/g, ''],
  [/\\text\{[^{}]*\}$/, ''],
  [/\^\{\\circ\}|\^\\circ/g, ''],
  [/\\\$|\$|\\text|x\\in/g, ''],
  [/\\%|%/g, ''],
  [/ \./g, ' 0.'],
  [/\{\./g, '{0.'],
  [/\\cdot/g, ''],
  [/\binfinity\b/g, '\\infty'],
  [/\band\b|\\mathbf|\\mbox\{[^{}]*\}|['"]/g, ''],
  [/(\d+)\.0+([^\d])/g, '$1$2'],
  [/(\d+)\.0+$/, '$1'],
];

function cleaned(text: string): string {
  let result = text.trim();
  for (const [pattern, replacement] of CLEANING) result = result.replace(pattern, replacement).trim();
  if (result.startsWith('.')) result = `0${result}`;
  const sides = result.split('=');
  if (sides.length === 2 && (sides[0] as string).trim().length <= 2) result = (sides[1] as string).trim();
  return slashes(
    result
      .replace(/\\sqrt([^{\s])/g, '\\sqrt{$1}')
      .replaceAll(' ', '')
      .replace(/\\frac([^{])([^{])/g, '\\frac{$1}{$2}')
      .replace(/\\frac([^{])\{/g, '\\frac{$1}{')
      .replace(/(\\frac\{[^{}]*\})([^{])/g, '$1{$2}'),
  );
}

const slashes = (text: string): string => text.replace(/^(-?\d+)\/(-?\d+)$/, '\\frac{$1}{$2}');
