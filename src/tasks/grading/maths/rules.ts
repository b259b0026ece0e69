/** Rules of a comparison; a profile fixes them (docs/graders.md). */
export interface CompareRules {
  /** Decimal places to which a decimal has to agree with a number that is not one. */
  precision: number;
  /** Largest difference that counts as none, for all numbers or for the members of a list in order. */
  absolute?: number | readonly number[] | undefined;
  /** Names have to be the same, and a set is not a tuple. */
  strict: boolean;
  /** `dropped`: 10 answers 10 %, as a unit may be left out, but 10 % does not answer 10. `either`: both. `exact`: neither. */
  percent: 'dropped' | 'either' | 'exact';
  /** Whether an inequality answers a gold set ([-2, 7] by -2 <= x <= 7); the other way round it always does. */
  relationForSet: boolean;
}

export const DEFAULT_RULES: CompareRules = { precision: 6, strict: true, percent: 'dropped', relationForSet: true };
