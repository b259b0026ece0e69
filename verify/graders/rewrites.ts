import type { RandomStream } from '../../src/core/index.js';

/** A way to write an answer differently. `keeps`: the meaning stays, so the grader has to say correct; else wrong. */
export interface Rewrite {
  name: string;
  keeps: boolean;
  /** The rewritten answer, or undefined where the rewrite has nothing to act on. */
  apply(gold: string, random: RandomStream): string | undefined;
}

export const INTEGER = /^-?\d{1,12}$/;
export const FRACTION = /^(-?)\\[dt]?frac\{(\d{1,6})\}\{(\d{1,6})\}$/;
export const TUPLE = /^\(([^()[\]{}]+(?:,[^()[\]{}]+)+)\)$/;
export const INTERVAL = /^([[(])([^()[\]]+),([^()[\]]+)([\])])$/;
export const LIST = /^-?[\d.]+(?:, ?-?[\d.]+)+$/;
export const isOneExpression = (gold: string): boolean =>
  /^[^,;:=<>]*$/.test(gold) &&
  !/\\(?:text|mbox|begin|in|cup|le|ge|pm|%)|[A-Z_%$]|\\[(['"]|where|\.$/.test(gold) &&
  gold.length < 80;
export const isMaths = (gold: string): boolean =>
  !/[^ -~]|\\text|\\boxed|\\\(|\\mbox|[A-Za-z]{4,}\s|[“"]/.test(gold.replace(/\\[a-zA-Z]+/g, '')) &&
  !/[$]/.test(gold) &&
  !gold.includes('\n');

export const when =
  (test: (gold: string) => boolean, change: (gold: string) => string) =>
  (gold: string): string | undefined => {
    if (!test(gold)) return undefined;
    const changed = change(gold);
    return changed === gold ? undefined : changed;
  };
export const matched =
  (pattern: RegExp, change: (match: RegExpExecArray, random: RandomStream) => string | undefined) =>
  (gold: string, random: RandomStream): string | undefined => {
    const match = pattern.exec(gold);
    return match ? change(match, random) : undefined;
  };
export const grouped = (digits: string, separator: string): string => digits.replace(/\B(?=(?:\d{3})+$)/g, separator);
export const parts = (list: string): string[] => list.split(',').map((part) => part.trim());
export const rotated = <T>(items: readonly T[]): T[] => [...items.slice(1), items[0] as T];
export const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Whether a decimal of the fraction ends. */
export function decimalOf(over: number, under: number): string | undefined {
  let rest = under / gcd(over, under);
  for (const prime of [2, 5]) while (rest % prime === 0) rest /= prime;
  return rest === 1 && under < 1e4 ? String(over / under) : undefined;
}
