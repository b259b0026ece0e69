import type { Rational } from '../../rational.js';
import type { Budget } from './limits.js';

/** Exact arithmetic on big rationals under a budget. `undefined` means: not a rational, or too long to keep exact. */

/** Numbers with a denominator are reduced by Euclid's algorithm, whose time grows with the square of the length. */
const FRACTION_BITS = 10_000;

export const ZERO: Rational = { numerator: 0n, denominator: 1n };
export const ONE: Rational = { numerator: 1n, denominator: 1n };
export const MINUS_ONE: Rational = { numerator: -1n, denominator: 1n };

export const integer = (value: bigint | number): Rational => ({ numerator: BigInt(value), denominator: 1n });

/** Length of an integer in bits, to within four. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : 4 * (value < 0n ? -value : value).toString(16).length;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

const SMALL = 1n << 64n;
const isSmall = (value: bigint): boolean => value < SMALL && value > -SMALL;

/** numerator / denominator in lowest terms. */
export function ratio(numerator: bigint, denominator: bigint, budget: Budget): Rational | undefined {
  if (denominator === 0n) return undefined;
  if (denominator === 1n && isSmall(numerator)) return { numerator, denominator };
  if (!isSmall(numerator) || !isSmall(denominator)) {
    const bits = Math.max(bitLength(numerator), bitLength(denominator));
    budget.spend(1 + bits / 64);
    if (bits > (denominator === 1n ? budget.limits.bits : FRACTION_BITS)) return undefined;
    if (denominator !== 1n) budget.spend(bits);
  }
  if (denominator === 1n) return { numerator, denominator };
  const divisor = gcd(numerator, denominator) * (denominator < 0n ? -1n : 1n);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

export function addExact(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return ratio(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator, budget);
}

export function multiplyExact(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return ratio(a.numerator * b.numerator, a.denominator * b.denominator, budget);
}

export function divideExact(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return ratio(a.numerator * b.denominator, a.denominator * b.numerator, budget);
}

export const equalExact = (a: Rational, b: Rational): boolean =>
  a.numerator === b.numerator && a.denominator === b.denominator;

export const isInteger = (a: Rational): boolean => a.denominator === 1n;

/** base^exponent for a rational exponent, where the result is rational: integer exponents, and exact roots. */
export function powerExact(base: Rational, exponent: Rational, budget: Budget): Rational | undefined {
  if (isInteger(exponent)) return integerPower(base, exponent.numerator, budget);
  if (base.numerator < 0n || exponent.denominator > 64n) return undefined;
  const root = rootExact(base, Number(exponent.denominator), budget);
  return root && integerPower(root, exponent.numerator, budget);
}

function integerPower(base: Rational, exponent: bigint, budget: Budget): Rational | undefined {
  if (exponent === 0n) return ONE;
  if (base.numerator === 0n) return exponent > 0n ? ZERO : undefined;
  const magnitude = exponent < 0n ? -exponent : exponent;
  const isUnit = base.denominator === 1n && (base.numerator === 1n || base.numerator === -1n);
  if (isUnit) return magnitude % 2n === 0n ? ONE : base;
  const bits = Math.max(bitLength(base.numerator), bitLength(base.denominator));
  const limit = base.denominator === 1n && exponent > 0n ? budget.limits.bits : FRACTION_BITS;
  if (magnitude > BigInt(limit) || (bits - 4) * Number(magnitude) > limit) return undefined;
  budget.spend(1 + (bits * Number(magnitude)) / 64);
  const [over, under] = [base.numerator ** magnitude, base.denominator ** magnitude];
  if (exponent > 0n) return { numerator: over, denominator: under };
  return over < 0n ? { numerator: -under, denominator: -over } : { numerator: under, denominator: over };
}

/** The non-negative k-th root of a non-negative rational, where it is rational. */
export function rootExact(value: Rational, k: number, budget: Budget): Rational | undefined {
  const over = integerRoot(value.numerator, k, budget);
  const under = over === undefined ? undefined : integerRoot(value.denominator, k, budget);
  return over === undefined || under === undefined ? undefined : { numerator: over, denominator: under };
}

/** Newton's iteration from above; undefined when the root is no integer. */
function integerRoot(value: bigint, k: number, budget: Budget): bigint | undefined {
  if (value < 0n || k < 1) return undefined;
  if (value < 2n || k === 1) return value;
  const bits = bitLength(value);
  if (bits > FRACTION_BITS) return undefined;
  const K = BigInt(k);
  let guess = 1n << BigInt(Math.ceil(bits / k));
  for (;;) {
    budget.spend(1 + bits / 64);
    const next = ((K - 1n) * guess + value / guess ** (K - 1n)) / K;
    if (next >= guess) break;
    guess = next;
  }
  return guess ** K === value ? guess : undefined;
}

/** n! for 0 <= n, while it fits. */
export function factorialExact(n: Rational, budget: Budget): Rational | undefined {
  if (!isInteger(n) || n.numerator < 0n || n.numerator > 3000n) return undefined;
  budget.spend(1 + Number(n.numerator) ** 2 / 200);
  return integer(range(1n, n.numerator));
}

/** Product of the integers low..high, halved recursively so that factors stay of like length. */
function range(low: bigint, high: bigint): bigint {
  if (low > high) return 1n;
  if (high - low < 8n) {
    let product = low;
    for (let factor = low + 1n; factor <= high; factor++) product *= factor;
    return product;
  }
  const middle = (low + high) / 2n;
  return range(low, middle) * range(middle + 1n, high);
}

/** n over k for integers; 0 when k > n >= 0 or k < 0. */
export function binomialExact(n: Rational, k: Rational, budget: Budget): Rational | undefined {
  if (!isInteger(n) || !isInteger(k) || n.numerator < 0n) return undefined;
  if (k.numerator < 0n || k.numerator > n.numerator) return ZERO;
  const least = k.numerator * 2n > n.numerator ? n.numerator - k.numerator : k.numerator;
  const bits = Number(least) * bitLength(n.numerator);
  if (least > 6000n || bits > 2 * budget.limits.bits) return undefined;
  budget.spend(1 + Number(least) ** 2 / 200);
  return integer(range(n.numerator - least + 1n, n.numerator) / range(1n, least));
}

/** Largest integer not above the value. */
export function floorExact({ numerator, denominator }: Rational): Rational {
  const quotient = numerator / denominator;
  return integer(numerator < 0n && quotient * denominator !== numerator ? quotient - 1n : quotient);
}
