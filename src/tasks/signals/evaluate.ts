import { HoneError } from '../../core/index.js';
import type { Task, Verdict } from '../types.js';
import { noVerdict } from '../verdicts.js';
import { leavesOf, type Asked, type Leaf, type Reading, type Signal } from './algebra.js';
import { formulaOf } from './formula.js';

/** What a signal came to, and what each leaf that was read said. */
export interface Evaluated {
  reading: Reading;
  leaves: Map<string, Reading>;
}

/**
 * The value of a signal for a response. Every leaf is read at most once, those of one sum or product at the same time;
 * where a leaf that counts has nothing to say, neither has the whole. @throws what a leaf throws.
 */
export async function evaluateSignal(of: Signal, asked: Asked): Promise<Evaluated> {
  const reader = new Reader(asked);
  const reading = await reader.value(of);
  return { reading, leaves: reader.leaves };
}

class Reader {
  readonly leaves = new Map<string, Reading>();
  readonly #asked: Asked;
  readonly #reading = new Map<Leaf, Promise<Reading>>();

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  async value(of: Signal): Promise<Reading> {
    switch (of.kind) {
      case 'leaf':
        return this.#read(of);
      case 'constant':
        return { value: of.value };
      case 'sum':
        return this.#all(
          of.terms.map(([, term]) => term),
          (values) => values.reduce((sum, value, at) => sum + (of.terms[at]?.[0] as number) * value, 0),
        );
      case 'product':
        return this.#all(of.factors, (values) => values.reduce((result, value) => result * value, 1));
      case 'least':
        return this.#all(of.of, (values) => Math.min(...values));
      case 'greatest':
        return this.#all(of.of, (values) => Math.max(...values));
      case 'clamp':
        return this.#all([of.of], ([value]) => Math.min(of.max, Math.max(of.min, value as number)));
      case 'sigmoid':
        return this.#all([of.of], ([value]) => 1 / (1 + Math.exp(-(value as number))));
      case 'gate': {
        const when = await this.value(of.when);
        if ('missing' in when) return when;
        return this.value(when.value >= of.atLeast ? of.then : of.otherwise);
      }
    }
  }

  async #all(parts: readonly Signal[], combine: (values: number[]) => number): Promise<Reading> {
    const readings = await settled(parts.map((part) => this.value(part)));
    const missing = readings.find((reading) => 'missing' in reading);
    return missing ?? { value: combine(readings.map((reading) => (reading as { value: number }).value)) };
  }

  #read(leaf: Leaf): Promise<Reading> {
    const known = this.#reading.get(leaf);
    if (known) return known;
    const reading = this.#readNow(leaf);
    this.#reading.set(leaf, reading);
    return reading;
  }

  async #readNow(leaf: Leaf): Promise<Reading> {
    const said = await leaf.read(this.#asked);
    const reading: Reading =
      'missing' in said || Number.isFinite(said.value)
        ? said
        : { missing: 'grader', reason: `the signal ${leaf.name} gave ${said.value}, which is no number` };
    this.leaves.set(leaf.name, reading);
    return reading;
  }
}

/** Results in order; waits for all before it throws the first error, so that nothing goes on behind its back. */
async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

export interface SignalGraderOptions {
  /** What the score comes from. */
  score: Signal;
  /** Right or wrong, apart from the score: right from 1 on. */
  correct: Signal;
  /**
   * The values that become scores 0 and 1; default [0, 1]. With `rewards: {wrong: low, correct: high}` of the trainer the
   * reward is the value of the formula itself.
   */
  range?: readonly [low: number, high: number];
  /** Keeps the format, from 1 on. */
  wellFormed?: Signal;
}

/**
 * A grader out of signals, for `grade` of a task. The verdict's components are the leaves that were read and `value`, the
 * formula's value; its reason is the formula with its values. A signal without a reading gives no verdict.
 * @throws HoneError usage where two different signals share a name or the range is empty; input where the value leaves
 * the range.
 */
export function signalGrader(options: SignalGraderOptions): Task['grade'] {
  const { score, correct, wellFormed, range: [low, high] = [0, 1] } = options;
  if (!(low < high)) throw new HoneError('usage', `the range ${low} to ${high} holds no scores`, { where: 'range' });
  refuseSharedNames([score, correct, ...(wellFormed ? [wellFormed] : [])]);
  const formula = formulaOf(score);
  return async (problem, response, context = {}) => {
    const reader = new Reader({ problem, response, ...context });
    const [value, right, formed] = await settled([score, correct, wellFormed ?? correct].map((of) => reader.value(of)));
    const components = componentsOf(reader.leaves);
    const missing = [value, right, formed].find((reading) => reading !== undefined && 'missing' in reading);
    if (missing !== undefined && 'missing' in missing)
      return noVerdict(missing.missing, missing.reason, { components });
    const values = [value, right, formed].map((reading) => (reading as { value: number }).value);
    return verdictOf(values as [number, number, number], reader.leaves, { ...options, range: [low, high] }, formula);
  };
}

function verdictOf(
  [value, right, formed]: readonly [number, number, number],
  leaves: ReadonlyMap<string, Reading>,
  { range: [low, high], wellFormed }: SignalGraderOptions & { range: readonly [number, number] },
  formula: string,
): Verdict {
  const score = (value - low) / (high - low);
  if (!(score >= 0 && score <= 1))
    throw new HoneError('input', `${formula} is ${value}, outside of ${low} to ${high}`, {
      where: 'signalGrader',
      hint: 'Widen `range`, or clamp the formula.',
    });
  const extracted = [...leaves.values()].find((reading) => 'extracted' in reading && reading.extracted !== undefined);
  return {
    status: right >= 1 ? 'correct' : 'wrong',
    score,
    components: { ...componentsOf(leaves), value },
    ...(extracted && 'extracted' in extracted ? { extracted: extracted.extracted as string } : {}),
    ...(wellFormed ? { wellFormed: formed >= 1 } : {}),
    reason: `${formula} = ${rounded(value)} (${saidBy(leaves)})`,
  };
}

const rounded = (value: number): string => String(Number(value.toPrecision(6)));

const saidBy = (leaves: ReadonlyMap<string, Reading>): string =>
  [...leaves]
    .map(([name, reading]) => {
      if ('missing' in reading) return `${name}: ${reading.reason}`;
      return `${name} ${rounded(reading.value)}${reading.reason === undefined ? '' : `: ${reading.reason}`}`;
    })
    .join('; ');

const componentsOf = (leaves: ReadonlyMap<string, Reading>): Record<string, number> =>
  Object.fromEntries(
    [...leaves].flatMap(([name, reading]) => ('missing' in reading ? [] : [[name, reading.value] as const])),
  );

function refuseSharedNames(signals: readonly Signal[]): void {
  const seen = new Map<string, Leaf>([['value', { kind: 'leaf', name: 'value', read: () => ({ value: 0 }) }]]);
  for (const leaf of signals.flatMap(leavesOf)) {
    const other = seen.get(leaf.name);
    if (other !== undefined && other !== leaf)
      throw new HoneError('usage', `two signals are called "${leaf.name}"`, {
        where: 'signalGrader',
        hint: 'Components of a verdict are told apart by name ("value" is the whole): use the same signal, or another name.',
      });
    seen.set(leaf.name, leaf);
  }
}
