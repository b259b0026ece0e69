import { HoneError } from '../core/index.js';
import { type ResolvedValue, resolveRecipe } from './resolve.js';

/** A setting in which two recipes differ. */
export interface RecipeDifference {
  path: string;
  a: ResolvedValue;
  b: ResolvedValue;
}

/**
 * The settings in which two recipes of one method differ under a preset, and how many they share.
 * @throws HoneError('usage') for an unknown name, and when their methods and so their settings are others.
 */
export function diffRecipes(a: string, b: string, preset: string): { differing: RecipeDifference[]; same: number } {
  const [left, right] = [resolveRecipe(a, preset), resolveRecipe(b, preset)];
  if (left.method !== right.method)
    throw new HoneError('usage', `${a} is ${left.method} and ${b} is ${right.method}: they share no settings`, {
      hint: 'Compare two recipes of one method (hone recipes list).',
    });
  const others = new Map(right.values.map((value) => [value.path, value]));
  const differing = left.values.flatMap((mine) => {
    const theirs = others.get(mine.path);
    if (theirs === undefined || JSON.stringify(mine.value) === JSON.stringify(theirs.value)) return [];
    return [{ path: mine.path, a: mine, b: theirs }];
  });
  return { differing, same: left.values.length - differing.length };
}
