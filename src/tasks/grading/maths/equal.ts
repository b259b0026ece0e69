import { some, type MathNode } from './ast.js';
import { ComplexField, NoValue, type Complex } from './complex.js';
import { evaluate, drawn, type PointKind } from './evaluate.js';
import { equalExact, integer } from './exact.js';
import type { Budget } from './limits.js';
import { keyOf } from './normal.js';
import { decimals, doubles, fineDecimals, type Big, type Reals } from './numeric.js';
import type { Rational } from '../../rational.js';

/** Accuracy that is asked of numbers which are not exact. */
export interface Tolerance {
  /** Decimal places to which a number written as a decimal has to agree. */
  precision: number;
  /** Largest difference that counts as none; undefined: `precision` decides. */
  absolute?: number | undefined;
}

/** How two expressions were found to be (un)equal. */
export type Method = 'same' | 'exact' | 'numeric';

export interface Equality {
  equal: boolean;
  method: Method;
}

const FUNCTIONS_OF_WHOLES = new Set([
  'factorial',
  'binomial',
  'floor',
  'ceil',
  'mod',
  'gcd',
  'lcm',
  'sum',
  'prod',
  '?doubleFactorial',
]);
/** Points at which both sides have to have a value, out of so many tries. */
const TRIES = 12;
const POINTS: Readonly<Record<PointKind, number>> = { positive: 2, mixed: 2, whole: 6 };
/** Doubles that differ by more than this share, without loss of digits, are of different numbers. */
const CLEARLY = 1e-4;

/** Names that are free in an expression. */
export function freeNames(node: MathNode): string[] {
  const names = new Set<string>();
  some(node, (one) => {
    if (one.kind === 'symbol') names.add(one.name);
    return false;
  });
  return [...names].sort();
}

/**
 * Whether two normalised expressions have the same value wherever both are real (complex where i occurs): by key, as
 * exact rationals, or by evaluation. Doubles tell different values apart; equality is confirmed with 50 digits.
 */
export function equalExpressions(gold: MathNode, given: MathNode, tolerance: Tolerance, budget: Budget): Equality {
  if (keyOf(gold) === keyOf(given)) return { equal: true, method: 'same' };
  if (gold.kind === 'number' && given.kind === 'number') return equalNumbers(gold, given, tolerance);
  const names = [...new Set([...freeNames(gold), ...freeNames(given)])].sort();
  if (names.includes('dots')) return { equal: false, method: 'same' };
  if (names.length === 0) return { equal: equalConstants(gold, given, tolerance, budget), method: 'numeric' };
  return { equal: equalFunctions(gold, given, names, budget), method: 'numeric' };
}

function equalNumbers(
  gold: MathNode & { kind: 'number' },
  given: MathNode & { kind: 'number' },
  tolerance: Tolerance,
): Equality {
  if (equalExact(gold.value, given.value)) return { equal: true, method: 'exact' };
  if (tolerance.absolute === undefined && !gold.decimal && !given.decimal) return { equal: false, method: 'exact' };
  const near = isNear(decimals.from(gold.value), decimals.from(given.value), tolerance);
  return { equal: near, method: 'exact' };
}

/** Equal when rounded to the places asked for, and to at least three digits whatever their size. */
function isNear(a: Big, b: Big, { precision, absolute }: Tolerance): boolean {
  const gap = a.minus(b).abs();
  if (absolute !== undefined) return gap.lte(absolute);
  const size = a.abs().lt(b.abs()) ? b.abs() : a.abs();
  const isSmallShare = gap.lte(size.times(Math.max(10 ** (2 - precision), 1e-12)));
  if (!isSmallShare) return false;
  return gap.times(2).lte(`1e-${precision}`) || a.toDecimalPlaces(precision).eq(b.toDecimalPlaces(precision));
}

const hasDecimal = (node: MathNode): boolean => some(node, (one) => one.kind === 'number' && one.decimal === true);

function equalConstants(gold: MathNode, given: MathNode, tolerance: Tolerance, budget: Budget): boolean {
  const isRounded = tolerance.absolute !== undefined || hasDecimal(gold) || hasDecimal(given);
  const empty = new Map<string, never>();
  const rough = valuesAt(gold, given, empty, doubles, budget);
  if (rough && rough.clear && !isRounded && !nearlySame(rough.gold, rough.given)) return false;
  if (!isRounded) return confirm(gold, given, () => empty, budget) === true;
  const fine = valuesAt(gold, given, empty, decimals, budget);
  if (!fine) return false;
  return isNear(fine.gold.re, fine.given.re, tolerance) && isNear(fine.gold.im, fine.given.im, tolerance);
}

interface Pair<R> {
  gold: Complex<R>;
  given: Complex<R>;
  /** No digits were lost on the way. */
  clear: boolean;
  leftReals: boolean;
  peak: R;
}

/** Both values at one point; undefined where either has none. */
function valuesAt<R>(
  gold: MathNode,
  given: MathNode,
  env: ReadonlyMap<string, Complex<R>>,
  reals: Reals<R>,
  budget: Budget,
): Pair<R> | undefined {
  const field = new ComplexField(reals);
  try {
    const [a, b] = [evaluate(gold, env, field, budget), evaluate(given, env, field, budget)];
    return { gold: a, given: b, clear: !field.lostDigits, leftReals: field.leftReals, peak: field.peak };
  } catch (error) {
    if (error instanceof NoValue) return undefined;
    throw error;
  }
}

function nearlySame(a: Complex<number>, b: Complex<number>): boolean {
  const gap = Math.hypot(a.re - b.re, a.im - b.im);
  return gap <= CLEARLY * Math.max(Math.hypot(a.re, a.im), Math.hypot(b.re, b.im));
}

/** Agreement to 30 digits of the larger value. */
function agrees({ gold, given }: Pair<Big>): boolean {
  const gap = decimals.add(gold.re.minus(given.re).abs(), gold.im.minus(given.im).abs());
  const size = decimals.add(gold.re.abs().plus(gold.im.abs()), given.re.abs().plus(given.im.abs()));
  return gap.lte(size.times('1e-30'));
}

/** Agreement, or both nothing beside the numbers that they are left of, which are of ordinary size. */
function vanishes(pair: Pair<Big>, share: string): boolean {
  const size = [pair.gold.re, pair.gold.im, pair.given.re, pair.given.im].reduce(
    (sum, part) => sum.plus(part.abs()),
    decimals.zero,
  );
  return agrees(pair) || (pair.peak.lt('1e40') && size.lte(pair.peak.times(share)));
}

/** Both values with 50 digits; where only cancellation makes them agree, with 160. */
function confirm(
  gold: MathNode,
  given: MathNode,
  at: (reals: Reals<Big>) => ReadonlyMap<string, Complex<Big>>,
  budget: Budget,
): boolean | undefined {
  const first = valuesAt(gold, given, at(decimals), decimals, budget);
  if (!first) return undefined;
  if (first.clear && agrees(first)) return true;
  if (first.clear && !vanishes(first, '1e-35')) return false;
  const fine = valuesAt(gold, given, at(fineDecimals), fineDecimals, budget);
  return fine && vanishes(fine, '1e-140');
}

function equalFunctions(gold: MathNode, given: MathNode, names: readonly string[], budget: Budget): boolean {
  const counts = [gold, given].some((node) =>
    some(node, (one) => one.kind === 'call' && FUNCTIONS_OF_WHOLES.has(one.name)),
  );
  const hasI = [gold, given].some((node) => some(node, (one) => one.kind === 'constant' && one.name === 'i'));
  const kinds: readonly PointKind[] = counts ? ['whole'] : ['positive', 'mixed'];
  let agreed = 0;
  for (const kind of kinds) {
    let seen = 0;
    for (let point = 0; point < TRIES && seen < POINTS[kind]; point++) {
      const agrees = agreeAt(gold, given, names, kind, point, hasI, budget);
      if (agrees === false) return false;
      if (agrees) seen++;
    }
    agreed += seen;
  }
  return agreed >= 2;
}

/** Whether both agree at a point; undefined where they cannot be compared. */
function agreeAt(
  gold: MathNode,
  given: MathNode,
  names: readonly string[],
  kind: PointKind,
  point: number,
  hasI: boolean,
  budget: Budget,
): boolean | undefined {
  const at = <R>(reals: Reals<R>): Map<string, Complex<R>> =>
    new Map(names.map((name) => [name, { re: reals.from(drawn(name, point, kind)), im: reals.zero }]));
  const rough = valuesAt(gold, given, at(doubles), doubles, budget);
  if (rough && kind === 'mixed' && rough.leftReals && !hasI) return undefined;
  if (rough?.clear && !nearlySame(rough.gold, rough.given)) return false;
  return confirm(gold, given, at, budget);
}

/**
 * Value of an expression without names, to 50 digits; undefined when it has none or is not real.
 */
export function realValue(node: MathNode, budget: Budget): Big | undefined {
  const field = new ComplexField(decimals);
  try {
    const value = evaluate(node, new Map(), field, budget);
    return field.isReal(value) ? value.re : undefined;
  } catch (error) {
    if (error instanceof NoValue) return undefined;
    throw error;
  }
}

/**
 * Whether a / b is the same number, not 0, wherever both can be had: two forms `a = 0` and `b = 0` of one equation.
 * @returns the sign of that number, or undefined.
 */
export function proportion(a: MathNode, b: MathNode, budget: Budget): 1 | -1 | undefined {
  const names = [...new Set([...freeNames(a), ...freeNames(b)])].sort();
  let first: Complex<Big> | undefined;
  let seen = 0;
  for (let point = 0; point < TRIES && seen < 4; point++) {
    const env = new Map(
      names.map((name) => [
        name,
        {
          re: decimals.from(drawn(name, point, point % 2 === 0 ? 'positive' : 'mixed') as Rational),
          im: decimals.zero,
        },
      ]),
    );
    const pair = valuesAt(a, b, env, decimals, budget);
    if (!pair) continue;
    const field = new ComplexField(decimals);
    if (field.isZero(pair.gold) || field.isZero(pair.given)) return undefined;
    const share = field.divide(pair.gold, pair.given);
    first ??= share;
    if (!agrees({ gold: first, given: share, clear: true, leftReals: false, peak: decimals.zero })) return undefined;
    seen++;
  }
  return seen < 2 || !first ? undefined : first.re.isNeg() ? -1 : 1;
}

export const ZERO_NODE: MathNode = { kind: 'number', value: integer(0) };
