import type { RecipeValue } from './types.js';

/** A value that the paper states. */
export const paper = <const T>(value: T, source: string) => ({ value, source, status: 'paper' as const });

/** A value that only the authors' or the reference code states. */
export const code = <const T>(value: T, source: string) => ({ value, source, status: 'code' as const });

/** A value of our own. */
export const assumed = <const T>(value: T, source: string) => ({ value, source, status: 'assumed' as const });

/** A part that the system does not have. */
export const absent = <const T>(value: T) => ({
  value,
  source: 'the system has no such part',
  status: 'paper' as const,
});

/** An option that nothing reads while the option at `path` is one of `values`; when something does, it is assumed. */
export const unread =
  (path: string, ...values: RecipeValue['value'][]) =>
  <const T>(value: T) => ({
    ...{ value, source: `not read while ${path} is ${values.join(' or ')}`, status: 'assumed' as const },
    unreadWhile: { path, values },
  });
