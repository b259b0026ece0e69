import type { Rational } from '../../rational.js';
import type { Reals } from './numeric.js';

/** A complex number over either arithmetic. */
export interface Complex<R> {
  re: R;
  im: R;
}

/** Thrown where a value does not exist (0/0, the floor of i) or cannot be had at this size. */
export class NoValue extends Error {}

/** Largest exponent that is multiplied out. */
const MAX_POWER = 100_000;

/**
 * Complex functions on principal branches. It notes what the comparison has to know: `leftReals` when a root or
 * logarithm left the real line, `lostDigits` when numbers cancelled so far that the result cannot be trusted.
 */
export class ComplexField<R> {
  leftReals = false;
  lostDigits = false;
  /** Largest magnitude met on the way. */
  peak: R;

  constructor(readonly reals: Reals<R>) {
    this.peak = reals.zero;
  }

  real(value: R): Complex<R> {
    return { re: value, im: this.reals.zero };
  }

  from(value: Rational): Complex<R> {
    return this.checked(this.real(this.reals.from(value)));
  }

  isReal(z: Complex<R>): boolean {
    return this.reals.isZero(z.im);
  }

  isZero(z: Complex<R>): boolean {
    return this.reals.isZero(z.re) && this.reals.isZero(z.im);
  }

  private checked(z: Complex<R>): Complex<R> {
    const { isFinite, magnitude, less } = this.reals;
    if (!isFinite(z.re) || !isFinite(z.im)) throw new NoValue();
    const size = magnitude(z.re);
    if (less(this.peak, size)) this.peak = size;
    return z;
  }

  private noteLoss(a: R, b: R, result: R): R {
    const { magnitude, multiply, less, isZero, lost } = this.reals;
    const [large, size] = [less(magnitude(a), magnitude(b)) ? magnitude(b) : magnitude(a), magnitude(result)];
    if (!isZero(large) && less(size, multiply(large, lost))) this.lostDigits = true;
    return result;
  }

  add(a: Complex<R>, b: Complex<R>): Complex<R> {
    const { add } = this.reals;
    return this.checked({
      re: this.noteLoss(a.re, b.re, add(a.re, b.re)),
      im: this.noteLoss(a.im, b.im, add(a.im, b.im)),
    });
  }

  negate(a: Complex<R>): Complex<R> {
    return { re: this.reals.negate(a.re), im: this.reals.negate(a.im) };
  }

  subtract(a: Complex<R>, b: Complex<R>): Complex<R> {
    return this.add(a, this.negate(b));
  }

  multiply(a: Complex<R>, b: Complex<R>): Complex<R> {
    const { add, subtract, multiply, zero } = this.reals;
    if (this.isReal(a) && this.isReal(b)) return this.checked({ re: multiply(a.re, b.re), im: zero });
    return this.checked({
      re: subtract(multiply(a.re, b.re), multiply(a.im, b.im)),
      im: add(multiply(a.re, b.im), multiply(a.im, b.re)),
    });
  }

  divide(a: Complex<R>, b: Complex<R>): Complex<R> {
    const { add, multiply, divide, negate, zero } = this.reals;
    if (this.isZero(b)) throw new NoValue();
    if (this.isReal(b)) return this.checked({ re: divide(a.re, b.re), im: this.isReal(a) ? zero : divide(a.im, b.re) });
    const square = add(multiply(b.re, b.re), multiply(b.im, b.im));
    const { re, im } = this.multiply(a, { re: b.re, im: negate(b.im) });
    return this.checked({ re: divide(re, square), im: divide(im, square) });
  }

  magnitude(z: Complex<R>): R {
    const { add, multiply, magnitude, sqrt } = this.reals;
    return this.isReal(z) ? magnitude(z.re) : sqrt(add(multiply(z.re, z.re), multiply(z.im, z.im)));
  }

  exp(z: Complex<R>): Complex<R> {
    const { exp, multiply, zero } = this.reals;
    const scale = exp(z.re);
    if (this.isReal(z)) return this.checked({ re: scale, im: zero });
    return this.checked({ re: multiply(scale, this.cosine(z.im)), im: multiply(scale, this.sine(z.im)) });
  }

  ln(z: Complex<R>): Complex<R> {
    const { ln, less, zero } = this.reals;
    if (this.isZero(z)) throw new NoValue();
    if (this.isReal(z) && less(zero, z.re)) return this.checked({ re: ln(z.re), im: zero });
    this.leftReals = true;
    return this.checked({ re: ln(this.magnitude(z)), im: this.argument(z) });
  }

  /** Angle in (-pi, pi]. */
  argument({ re, im }: Complex<R>): R {
    const { less, zero, pi, negate, divide, atan, isZero, add, one } = this.reals;
    const half = divide(pi, add(one, one));
    if (isZero(re)) return isZero(im) ? zero : less(im, zero) ? negate(half) : half;
    const angle = atan(divide(im, re));
    if (!less(re, zero)) return angle;
    return less(im, zero) ? add(angle, negate(pi)) : add(angle, pi);
  }

  private sine(x: R): R {
    return this.circular(x, this.reals.sin);
  }

  private cosine(x: R): R {
    return this.circular(x, this.reals.cos);
  }

  private circular(x: R, fn: (x: R) => R): R {
    if (this.reals.isHuge(x)) throw new NoValue();
    const value = fn(x);
    if (!this.reals.isZero(x)) this.noteLoss(this.reals.one, this.reals.one, value);
    return value;
  }

  sqrt(z: Complex<R>): Complex<R> {
    const { sqrt, less, zero, negate } = this.reals;
    if (!this.isReal(z)) return this.exp(this.divide(this.ln(z), this.two()));
    if (!less(z.re, zero)) return this.checked({ re: sqrt(z.re), im: zero });
    this.leftReals = true;
    return this.checked({ re: zero, im: sqrt(negate(z.re)) });
  }

  /** The real root of an odd degree, the principal one otherwise. */
  root(z: Complex<R>, degree: Complex<R>): Complex<R> {
    const n = this.isReal(degree) ? this.reals.whole(degree.re) : undefined;
    const isNegative = this.isReal(z) && this.reals.less(z.re, this.reals.zero);
    if (n !== undefined && n % 2 !== 0 && isNegative) return this.negate(this.root(this.negate(z), degree));
    return this.power(z, this.divide(this.real(this.reals.one), degree));
  }

  power(base: Complex<R>, exponent: Complex<R>): Complex<R> {
    const { whole, less, zero, divide, one } = this.reals;
    const n = this.isReal(exponent) ? whole(exponent.re) : undefined;
    if (n !== undefined && Math.abs(n) <= MAX_POWER) return this.wholePower(base, n);
    if (this.isZero(base)) {
      if (less(zero, exponent.re)) return base;
      throw new NoValue();
    }
    const half = divide(one, this.two().re);
    if (this.isReal(exponent) && this.reals.isZero(this.reals.subtract(exponent.re, half))) return this.sqrt(base);
    return this.exp(this.multiply(exponent, this.ln(base)));
  }

  private wholePower(base: Complex<R>, n: number): Complex<R> {
    let result = this.real(this.reals.one);
    let square = base;
    for (let left = Math.abs(n); left > 0; left = Math.floor(left / 2)) {
      if (left % 2 === 1) result = this.multiply(result, square);
      if (left > 1) square = this.multiply(square, square);
    }
    return n < 0 ? this.divide(this.real(this.reals.one), result) : result;
  }

  sin(z: Complex<R>): Complex<R> {
    const { multiply, zero } = this.reals;
    if (this.isReal(z)) return { re: this.sine(z.re), im: zero };
    const [cosh, sinh] = [this.cosh(this.real(z.im)).re, this.sinh(this.real(z.im)).re];
    return this.checked({ re: multiply(this.sine(z.re), cosh), im: multiply(this.cosine(z.re), sinh) });
  }

  cos(z: Complex<R>): Complex<R> {
    const { multiply, zero, negate } = this.reals;
    if (this.isReal(z)) return { re: this.cosine(z.re), im: zero };
    const [cosh, sinh] = [this.cosh(this.real(z.im)).re, this.sinh(this.real(z.im)).re];
    return this.checked({ re: multiply(this.cosine(z.re), cosh), im: negate(multiply(this.sine(z.re), sinh)) });
  }

  cosh(z: Complex<R>): Complex<R> {
    return this.divide(this.add(this.exp(z), this.exp(this.negate(z))), this.two());
  }

  sinh(z: Complex<R>): Complex<R> {
    return this.divide(this.subtract(this.exp(z), this.exp(this.negate(z))), this.two());
  }

  /** (ln(1 + iz) - ln(1 - iz)) / 2i */
  atan(z: Complex<R>): Complex<R> {
    const { zero, one, atan } = this.reals;
    if (this.isReal(z)) return this.real(atan(z.re));
    const i = { re: zero, im: one };
    const [plus, minus] = [
      this.add(this.real(one), this.multiply(i, z)),
      this.subtract(this.real(one), this.multiply(i, z)),
    ];
    return this.divide(this.subtract(this.ln(plus), this.ln(minus)), this.multiply(this.two(), i));
  }

  /** atan(z / sqrt(1 - z^2)), with +-pi/2 at +-1. */
  asin(z: Complex<R>): Complex<R> {
    const { one, pi, less, zero } = this.reals;
    const rest = this.subtract(this.real(one), this.multiply(z, z));
    if (!this.isZero(rest)) return this.atan(this.divide(z, this.sqrt(rest)));
    const half = this.divide(this.real(pi), this.two());
    return less(z.re, zero) ? this.negate(half) : half;
  }

  acos(z: Complex<R>): Complex<R> {
    return this.subtract(this.divide(this.real(this.reals.pi), this.two()), this.asin(z));
  }

  private two(): Complex<R> {
    return this.real(this.reals.add(this.reals.one, this.reals.one));
  }
}
