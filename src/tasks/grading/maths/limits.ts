/**
 * Bounds on the work that one side of a comparison may cause. They are counts, never clocks: a verdict is the same on
 * every machine. Everything that could grow (text, nesting, nodes, digits of exact numbers, evaluation) spends from here.
 */
export interface MathsLimits {
  /** Characters of an answer that are parsed; a longer one is compared as text alone. */
  characters: number;
  /** Brackets, fractions and powers inside each other. */
  depth: number;
  /** Units of work: one for a token, a node or an arithmetic operation, more for long numbers and for functions. */
  work: number;
  /** Bits of an exact integer; powers and factorials beyond it are kept symbolic. */
  bits: number;
}

export const DEFAULT_LIMITS: MathsLimits = { characters: 4000, depth: 60, work: 150_000, bits: 40_000 };

/** Thrown where a limit ends the work; `gradeMaths` and `compareAnswers` turn it into a verdict. */
export class LimitReached extends Error {
  constructor(
    readonly limit: keyof MathsLimits,
    readonly amount: number,
  ) {
    super(`more than ${amount} ${limit === 'depth' ? 'levels of nesting' : limit}`);
    this.name = 'LimitReached';
  }
}

/** What one side may still spend. */
export class Budget {
  private left: number;

  constructor(readonly limits: MathsLimits = DEFAULT_LIMITS) {
    this.left = limits.work;
  }

  /** @throws LimitReached when the work is used up. */
  spend(units = 1): void {
    this.left -= units;
    if (this.left < 0) throw new LimitReached('work', this.limits.work);
  }

  get spent(): number {
    return this.limits.work - this.left;
  }
}
