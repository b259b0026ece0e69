import { Decimal } from 'decimal.js';
import type { Rational } from '../../rational.js';
import { bitLength } from './exact.js';

/** Real arithmetic that complex arithmetic is built on: doubles to tell apart fast, 50 digits to confirm. */
export interface Reals<R> {
  /** Work of one operation, against one for doubles. */
  readonly cost: number;
  /** Relative size below which a sum of larger numbers, or a sine, has lost its digits. */
  readonly lost: R;
  from(value: Rational): R;
  readonly zero: R;
  readonly one: R;
  readonly pi: R;
  add(a: R, b: R): R;
  subtract(a: R, b: R): R;
  multiply(a: R, b: R): R;
  divide(a: R, b: R): R;
  negate(a: R): R;
  magnitude(a: R): R;
  less(a: R, b: R): boolean;
  isZero(a: R): boolean;
  isFinite(a: R): boolean;
  sqrt(a: R): R;
  exp(a: R): R;
  ln(a: R): R;
  sin(a: R): R;
  cos(a: R): R;
  atan(a: R): R;
  floor(a: R): R;
  /** Too large for the functions whose work or error grows with their argument. */
  isHuge(a: R): boolean;
  /** The nearest whole number where the value is one and small, for powers and factorials. */
  whole(a: R): number | undefined;
}

const DOUBLE_BITS = 1000;

function toDouble({ numerator, denominator }: Rational): number {
  if (bitLength(numerator) < 50 && bitLength(denominator) < 50) return Number(numerator) / Number(denominator);
  const shift = BigInt(Math.max(0, bitLength(denominator) - bitLength(numerator) + 64));
  if (shift > BigInt(DOUBLE_BITS)) return Number.NaN;
  return Number((numerator << shift) / denominator) / 2 ** Number(shift);
}

export const doubles: Reals<number> = {
  cost: 1,
  lost: 1e-6,
  from: toDouble,
  zero: 0,
  one: 1,
  pi: Math.PI,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  negate: (a) => -a,
  magnitude: Math.abs,
  less: (a, b) => a < b,
  isZero: (a) => a === 0,
  isFinite: Number.isFinite,
  sqrt: Math.sqrt,
  exp: Math.exp,
  ln: Math.log,
  sin: Math.sin,
  cos: Math.cos,
  atan: Math.atan,
  floor: Math.floor,
  isHuge: (a) => Math.abs(a) > 1e6,
  whole: (a) => (Number.isInteger(a) && Math.abs(a) < 1e6 ? a : undefined),
};

export type Big = Decimal;

/** Bits of a long integer that are carried over, more than any precision here. */
const LEADING_BITS = 800;

function leading(value: bigint, Real: typeof Decimal): Big {
  const excess = bitLength(value) - LEADING_BITS;
  if (excess <= 0) return new Real(value.toString());
  return new Real((value >> BigInt(excess)).toString()).times(new Real(2).pow(excess));
}

/** Arithmetic that carries so many digits. */
function decimalsOf(digits: number, lost: string): Reals<Big> {
  const Real = Decimal.clone({ precision: digits, rounding: Decimal.ROUND_HALF_EVEN, maxE: 9e12, minE: -9e12 });
  return {
    cost: digits / 4,
    lost: new Real(lost),
    from: ({ numerator, denominator }) => {
      const over = leading(numerator, Real);
      return denominator === 1n ? over.plus(0) : over.div(leading(denominator, Real));
    },
    zero: new Real(0),
    one: new Real(1),
    pi: Real.acos(-1),
    add: (a, b) => a.plus(b),
    subtract: (a, b) => a.minus(b),
    multiply: (a, b) => a.times(b),
    divide: (a, b) => a.div(b),
    negate: (a) => a.neg(),
    magnitude: (a) => a.abs(),
    less: (a, b) => a.lt(b),
    isZero: (a) => a.isZero(),
    isFinite: (a) => a.isFinite(),
    sqrt: (a) => a.sqrt(),
    exp: (a) => a.exp(),
    ln: (a) => a.ln(),
    sin: (a) => a.sin(),
    cos: (a) => a.cos(),
    atan: (a) => a.atan(),
    floor: (a) => a.floor(),
    isHuge: (a) => a.abs().gt(1e12),
    whole: (a) => (a.isInteger() && a.abs().lt(1e6) ? a.toNumber() : undefined),
  };
}

/** 50 digits: confirms equality. */
export const decimals = decimalsOf(50, '1e-20');
/** 160 digits: for values that are what is left after numbers of 50 digits cancelled. */
export const fineDecimals = decimalsOf(160, '1e-100');
