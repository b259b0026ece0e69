import { HoneError } from '../../core/index.js';
import type { Loss, LossResult, ModelRole } from '../types.js';
import type { Coefficients, Sequence, TokenOutputs } from './training.js';

/** Outputs and derivatives of a pass, a row of numbers for each sequence: choosing some of them, and putting them back. */

/** Rows of some of the sequences. */
export function rowsOf<T>(rows: readonly T[], members: readonly number[]): T[] {
  return members.map((member) => rows[member] as T);
}

export function coefficientsFor(
  { dLogprobs, dEntropy, dValues }: Coefficients,
  members: readonly number[],
): Coefficients {
  return {
    dLogprobs: dLogprobs.length > 0 ? rowsOf(dLogprobs, members) : [],
    ...(dEntropy ? { dEntropy: rowsOf(dEntropy, members) } : {}),
    ...(dValues ? { dValues: rowsOf(dValues, members) } : {}),
  };
}

/** Puts the outputs of some of the sequences in their places. */
export function placeOutputs(into: TokenOutputs, out: TokenOutputs, members: readonly number[]): void {
  const place = (to: Float32Array[] | undefined, from: Float32Array[] | undefined): void =>
    from?.forEach((row, i) => to?.[members[i] as number]?.set(row));
  place(into.logprobs, out.logprobs);
  place(into.entropy, out.entropy);
  place(into.values, out.values);
}

/** The derivatives a loss gave, complete and in shape. */
export function coefficientsOf(
  loss: Loss,
  result: LossResult,
  sequences: readonly Sequence[],
  role: ModelRole,
): Coefficients {
  const complete = (rows: Float32Array[] | undefined, name: string): Float32Array[] => {
    const full = rows ?? sequences.map(({ input }) => new Float32Array(input.length));
    const wrong = full.length !== sequences.length || full.some((row, i) => row.length !== sequences[i]?.input.length);
    if (wrong) throw new HoneError('usage', `loss ${loss.name} returned ${name} of the wrong shape`);
    return full;
  };
  if (role === 'critic') return { dLogprobs: [], dValues: complete(result.dValues, 'dValues') };
  const dLogprobs = complete(result.dLogprobs, 'dLogprobs');
  return loss.needs.entropy ? { dLogprobs, dEntropy: complete(result.dEntropy, 'dEntropy') } : { dLogprobs };
}
