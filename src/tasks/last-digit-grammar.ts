/** How attempts are written. */
export interface Notation {
  /** How many digits an attempt has. */
  digits: number;
  /** Every step with its result, or the last result alone. */
  results: 'stated' | 'final';
  /** `restate`: the target stands again before the mark (9-2=7-9=8>2x), so that the check is written out. */
  check: 'mark' | 'restate';
}

/** One attempt as written: `9-2=7-9=8x`. */
export interface Attempt {
  digits: number[];
  operators: string;
  /** Stated result after each operator; undefined where the format states none. */
  results: (number | undefined)[];
  /** The target as restated; undefined where the notation does not ask for it. */
  restated: number | undefined;
  mark: 'x' | '!' | '?';
  /** The attempt without its mark. */
  text: string;
}

/**
 * Reads a response of the last-digit puzzle. Grammar, for k digits:
 *   response = { attempt "x" } attempt ( "!" | "?" )
 *   attempt  = digit k-1 x ( operator digit "=" digit )      results stated
 *            | digit k-1 x ( operator digit ) "=" digit      final result alone
 *   with check = restate, an attempt ends in ">" digit.
 * @returns the attempts up to the first break of the grammar, and whether the whole text kept it.
 */
export function parseAttempts(
  text: string,
  { digits, results, check }: Notation,
): { attempts: Attempt[]; complete: boolean } {
  const gaps = digits - 1;
  const body = results === 'stated' ? `\\d(?:[-+*]\\d=\\d){${gaps}}` : `\\d(?:[-+*]\\d){${gaps}}=\\d`;
  const pattern = new RegExp(`(${body}${check === 'restate' ? '>\\d' : ''})([x!?])`, 'y');
  const attempts: Attempt[] = [];
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const attempt = readAttempt(match[1] as string, match[2] as Attempt['mark']);
    attempts.push(attempt);
    if (attempt.mark !== 'x') return { attempts, complete: pattern.lastIndex === text.length };
  }
  return { attempts, complete: false };
}

function readAttempt(text: string, mark: Attempt['mark']): Attempt {
  const steps = [...text.matchAll(/([-+*])(\d)(?:=(\d))?/g)];
  return {
    digits: [Number(text[0]), ...steps.map((step) => Number(step[2]))],
    operators: steps.map((step) => step[1]).join(''),
    results: steps.map((step) => (step[3] === undefined ? undefined : Number(step[3]))),
    restated: text.includes('>') ? Number(text.at(-1)) : undefined,
    mark,
    text,
  };
}
