import type { Datum, Loss, LossResult, Metric, Outputs } from '../../engine/types.js';

/** One sequence as a term of a loss reads it; all arrays are [T]. */
export interface SequenceInput {
  logprobs_T: ArrayLike<number>;
  entropy_T: ArrayLike<number>;
  values_T: ArrayLike<number>;
  /** @throws TypeError when the datum lacks the vector. */
  vector(name: string): ArrayLike<number>;
}

/** Where a term adds its derivatives, each [T]; those that no term needs are empty. */
export interface SequenceGradient {
  dLogprobs_T: Float32Array;
  dEntropy_T: Float32Array;
  dValues_T: Float32Array;
}

/** A summand of a loss. Terms read what they need of a sequence and add to its derivatives. */
export interface LossTerm {
  needs: { logprobs?: boolean; entropy?: boolean; values?: boolean };
  /** The derivatives do not depend on the outputs. */
  linear: boolean;
  /** @returns this sequence's share of the loss. */
  add(sequence: SequenceInput, gradient: SequenceGradient, tally: MetricTally): number;
}

/** Collects metrics over the sequences of one call. */
export class MetricTally {
  readonly #metrics = new Map<string, Metric>();

  /** Adds to a mean. */
  mean(name: string, sum: number, count: number): void {
    const old = this.#metrics.get(name);
    const known = old && 'sum' in old ? old : { sum: 0, count: 0 };
    this.#metrics.set(name, { sum: known.sum + sum, count: known.count + count });
  }

  max(name: string, value: number): void {
    const old = this.#metrics.get(name);
    this.#metrics.set(name, { max: old && 'max' in old ? Math.max(old.max, value) : value });
  }

  result(): Record<string, Metric> {
    return Object.fromEntries(this.#metrics);
  }
}

/** The sum of the terms as a loss of the engine. */
export function lossOf(name: string, terms: readonly LossTerm[], remote?: Loss['remote']): Loss {
  const needs = (what: 'logprobs' | 'entropy' | 'values') => terms.some((term) => term.needs[what] === true);
  const wanted: Wanted = { logprobs: needs('logprobs'), entropy: needs('entropy'), values: needs('values') };
  return {
    name,
    needs: { entropy: wanted.entropy, values: wanted.values },
    linear: terms.every((term) => term.linear),
    ...(remote ? { remote } : {}),
    fn: (out, data) => sumOfTerms(terms, wanted, out, data),
  };
}

interface Wanted {
  logprobs: boolean;
  entropy: boolean;
  values: boolean;
}

function sumOfTerms(terms: readonly LossTerm[], wanted: Wanted, out: Outputs, data: readonly Datum[]): LossResult {
  const tally = new MetricTally();
  let lossSum = 0;
  const gradients = data.map((datum, i) => {
    const sequence = sequenceInput(out, i, datum);
    const zeros = (wanted: boolean) => new Float32Array(wanted ? datum.input.length : 0);
    const gradient: SequenceGradient = {
      dLogprobs_T: zeros(wanted.logprobs),
      dEntropy_T: zeros(wanted.entropy),
      dValues_T: zeros(wanted.values),
    };
    for (const term of terms) lossSum += term.add(sequence, gradient, tally);
    return gradient;
  });
  return {
    lossSum,
    ...(wanted.logprobs ? { dLogprobs: gradients.map((gradient) => gradient.dLogprobs_T) } : {}),
    ...(wanted.entropy ? { dEntropy: gradients.map((gradient) => gradient.dEntropy_T) } : {}),
    ...(wanted.values ? { dValues: gradients.map((gradient) => gradient.dValues_T) } : {}),
    metrics: tally.result(),
  };
}

function sequenceInput(out: Outputs, i: number, datum: Datum): SequenceInput {
  return {
    logprobs_T: out.logprobs[i] ?? [],
    get entropy_T() {
      return present(out.entropy?.[i], 'entropy');
    },
    get values_T() {
      return present(out.values?.[i], 'values');
    },
    vector: (name) => present(datum.vectors[name], `vector '${name}'`),
  };
}

function present(values: Float32Array | undefined, what: string): Float32Array {
  if (!values) throw new TypeError(`the loss needs the ${what}, which the datum or the outputs lack`);
  return values;
}
