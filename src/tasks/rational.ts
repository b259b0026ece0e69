/** Exact fractions in lowest terms, denominator positive. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** Numbers with more bits than this are given up, so that a hostile text cannot buy unbounded work. */
const MAX_BITS = 4096n;
const LIMIT = 1n << MAX_BITS;

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

/** numerator / denominator reduced; undefined when the denominator is 0 or a part exceeds 4,096 bits. */
export function rational(numerator: bigint, denominator = 1n): Rational | undefined {
  if (denominator === 0n || numerator >= LIMIT || -numerator >= LIMIT) return undefined;
  if (denominator >= LIMIT || -denominator >= LIMIT) return undefined;
  const divisor = gcd(numerator, denominator) * (denominator < 0n ? -1n : 1n);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

export function add(a: Rational, b: Rational): Rational | undefined {
  return rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export function subtract(a: Rational, b: Rational): Rational | undefined {
  return add(a, { numerator: -b.numerator, denominator: b.denominator });
}

export function multiply(a: Rational, b: Rational): Rational | undefined {
  return rational(a.numerator * b.numerator, a.denominator * b.denominator);
}

/** a / b; undefined when b is 0. */
export function divide(a: Rational, b: Rational): Rational | undefined {
  return rational(a.numerator * b.denominator, a.denominator * b.numerator);
}

export function equal(a: Rational, b: Rational): boolean {
  return a.numerator === b.numerator && a.denominator === b.denominator;
}

/**
 * Reads a plain decimal: optional sign, digits, point, digits, optional exponent (`-12.50`, `.4`, `1e3`).
 * @returns undefined for any other text, more than 400 digits, or an exponent beyond 400.
 */
export function parseDecimal(text: string): Rational | undefined {
  if (text.length > 410) return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole + fraction === '' || Math.abs(Number(exponent)) > 400) return undefined;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  const shift = Number(exponent) - fraction.length;
  return shift >= 0 ? rational(digits * 10n ** BigInt(shift)) : rational(digits, 10n ** BigInt(-shift));
}
