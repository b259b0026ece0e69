/** Tolerances of numpy.allclose, by which APPS compares numbers (hendrycks/apps, eval/testing_util.py). */
const RELATIVE = 1e-5;
const ABSOLUTE = 1e-8;

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const FRACTIONAL = /[.eE]/;

/** Lines without the white space around them and without empty lines at the end. */
const linesOf = (text: string): string[] =>
  text
    .replace(/\r\n?/g, '\n')
    .trimEnd()
    .split('\n')
    .map((line) => line.trim());

/** Equal as text; or numbers that are close, where the expected one is no whole number. */
function sameToken(expected: string, printed: string): boolean {
  if (expected === printed) return true;
  if (!NUMBER.test(expected) || !NUMBER.test(printed) || !FRACTIONAL.test(expected)) return false;
  const [gold, value] = [Number(expected), Number(printed)];
  return Math.abs(gold - value) <= ABSOLUTE + RELATIVE * Math.abs(gold);
}

function sameLine(expected: string, printed: string): boolean {
  if (expected === printed) return true;
  const [gold, given] = [expected.split(/\s+/), printed.split(/\s+/)];
  return gold.length === given.length && gold.every((token, i) => sameToken(token, given[i] as string));
}

/**
 * Whether a program printed what was expected: line by line, white space around lines and after the last one left out
 * (LiveCodeBench, lcb_runner/evaluation/testing_util.py); words of a line with any white space between them; numbers
 * with a fraction within the tolerance of APPS, whole numbers digit by digit.
 */
export function sameOutput(expected: string, printed: string): boolean {
  const [gold, given] = [linesOf(expected), linesOf(printed)];
  return gold.length === given.length && gold.every((line, i) => sameLine(line, given[i] as string));
}
