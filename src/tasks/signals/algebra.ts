import { HoneError } from '../../core/index.js';
import type { Problem, Response } from '../types.js';

/** A response to be read, with what a reader may need. */
export interface Asked {
  problem: Problem;
  response: Response;
  signal?: AbortSignal;
}

/** What a signal says of a response: a number, or that it has nothing to say and whose fault that is. */
export type Reading =
  { value: number; reason?: string; extracted?: string } | { missing: 'gold' | 'grader'; reason: string };

/** A number that is read off a response. */
export interface Leaf {
  kind: 'leaf';
  name: string;
  read(asked: Asked): Reading | Promise<Reading>;
}

/** Signals put together. A value, not a program: it prints as a formula, and is evaluated by `evaluateSignal`. */
export type Signal =
  | Leaf
  | { kind: 'constant'; value: number }
  | { kind: 'sum'; terms: readonly (readonly [weight: number, of: Signal])[] }
  | { kind: 'product'; factors: readonly Signal[] }
  | { kind: 'least' | 'greatest'; of: readonly Signal[] }
  | { kind: 'clamp'; of: Signal; min: number; max: number }
  | { kind: 'sigmoid'; of: Signal }
  | { kind: 'gate'; when: Signal; atLeast: number; then: Signal; otherwise: Signal };

/** Signals and plain numbers may stand wherever a signal is asked for. */
export type SignalLike = Signal | number;

const NAME = /^[a-z][a-z0-9_-]*$/;

/** A signal of one's own: its name stands in formulas and in the components of verdicts. */
export function signal(name: string, read: Leaf['read']): Leaf {
  if (!NAME.test(name))
    throw misuse(`the name of a signal is lower-case letters, digits, - and _, not ${JSON.stringify(name)}`);
  return { kind: 'leaf', name, read };
}

/** Σ w_i s_i. Weights may be negative: penalties. */
export const weighted = (...terms: readonly (readonly [weight: number, of: SignalLike])[]): Signal => ({
  kind: 'sum',
  terms: some(terms, 'weighted').map(([weight, of]) => [finite(weight, 'a weight'), lift(of)]),
});

/** Π s_i: a signal in [0, 1] scales the others down. */
export const product = (...factors: readonly SignalLike[]): Signal => ({
  kind: 'product',
  factors: some(factors, 'product').map(lift),
});

/** The smallest and the greatest of several signals. */
export const least = (...of: readonly SignalLike[]): Signal => ({ kind: 'least', of: some(of, 'least').map(lift) });
export const greatest = (...of: readonly SignalLike[]): Signal => ({
  kind: 'greatest',
  of: some(of, 'greatest').map(lift),
});

/** s, cut off below `min` and above `max`. */
export function clamp(of: SignalLike, min: number, max: number): Signal {
  if (!(min <= max)) throw misuse(`clamp keeps values between a smaller and a larger bound, not ${min} and ${max}`);
  return { kind: 'clamp', of: lift(of), min, max };
}

/** s, cut off above: a cap. */
export const cap = (of: SignalLike, max: number): Signal => clamp(of, -Infinity, max);

/** 1 / (1 + exp(-s)): the score of a reward model as a share. */
export const sigmoid = (of: SignalLike): Signal => ({ kind: 'sigmoid', of: lift(of) });

/**
 * `then` where `when` is at least `atLeast`, else `otherwise`. Only the side that is taken is read, so a costly signal
 * behind a cheap gate is asked only where it counts.
 */
export function gate(
  when: SignalLike,
  then: SignalLike,
  { atLeast = 1, otherwise = 0 }: { atLeast?: number; otherwise?: SignalLike } = {},
): Signal {
  return {
    kind: 'gate',
    when: lift(when),
    atLeast: finite(atLeast, 'a gate'),
    then: lift(then),
    otherwise: lift(otherwise),
  };
}

/** Every leaf of a signal once, in reading order. */
export function leavesOf(of: Signal): Leaf[] {
  return [...new Set(of.kind === 'leaf' ? [of] : partsOf(of).flatMap(leavesOf))];
}

function partsOf(of: Exclude<Signal, Leaf>): readonly Signal[] {
  switch (of.kind) {
    case 'constant':
      return [];
    case 'sum':
      return of.terms.map(([, term]) => term);
    case 'product':
      return of.factors;
    case 'least':
    case 'greatest':
      return of.of;
    case 'gate':
      return [of.when, of.then, of.otherwise];
    default:
      return [of.of];
  }
}

function lift(of: SignalLike): Signal {
  return typeof of === 'number' ? { kind: 'constant', value: finite(of, 'a constant') } : of;
}

function finite(value: number, what: string): number {
  if (Number.isFinite(value)) return value;
  throw misuse(`${what} of a signal is a finite number, not ${value}`);
}

function some<T>(parts: readonly T[], what: string): readonly T[] {
  if (parts.length > 0) return parts;
  throw misuse(`${what} of no signals has no value`);
}

const misuse = (message: string): HoneError =>
  new HoneError('usage', message, { hint: 'docs/signals.md lists what signals are put together with.' });
