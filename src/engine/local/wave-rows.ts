import type { Coefficients, Sequence, TokenOutputs } from './training.js';
import type { Wave } from './waves.js';

/** What a sequence has after the prefix it goes on from; without one all of it. */
export interface Rest extends Sequence {
  /** Index of the prefix in its wave. */
  prefix?: number;
}

type Rows = readonly Float32Array[] | undefined;

const rowOf = (rows: Rows, i: number): Float32Array => rows?.[i] as Float32Array;

/** Cuts whole sequences of a wave into its prefixes and what follows, and puts together what is computed of these. */
export class WaveRows {
  readonly #prefixOf = new Map<number, number>();

  constructor(
    private readonly wave: Wave,
    private readonly sequences: readonly Sequence[],
  ) {
    wave.prefixes.forEach(({ members }, i) => members.forEach((member) => this.#prefixOf.set(member, i)));
  }

  /** Tokens of a sequence that lie in its prefix. */
  #start(member: number): number {
    const prefix = this.#prefixOf.get(member);
    return prefix === undefined ? 0 : (this.wave.prefixes[prefix]?.length as number);
  }

  prefixes(): Sequence[] {
    return this.wave.prefixes.map(({ length, members }) => {
      const { input, target } = this.sequences[members[0] as number] as Sequence;
      return { input: input.slice(0, length), target: target.slice(0, length) };
    });
  }

  rests(members: readonly number[]): Rest[] {
    return members.map((member) => {
      const { input, target } = this.sequences[member] as Sequence;
      const [prefix, start] = [this.#prefixOf.get(member), this.#start(member)];
      if (prefix === undefined) return { input, target };
      return { input: input.slice(start), target: target.slice(start), prefix };
    });
  }

  /** Writes outputs of rests into those of whole sequences. @param at the place of each in `into`, its index in the pass if not given */
  placeRests(into: TokenOutputs, rests: TokenOutputs, members: readonly number[], at = members): void {
    this.#eachKind(into, rests, (to, from) =>
      members.forEach((member, i) => rowOf(to, at[i] as number).set(rowOf(from, i), this.#start(member))),
    );
  }

  /** As `placeRests`, for outputs of the prefixes. */
  placePrefixes(into: TokenOutputs, prefixes: TokenOutputs, members: readonly number[], at = members): void {
    this.#eachKind(into, prefixes, (to, from) =>
      members.forEach((member, i) => {
        const prefix = this.#prefixOf.get(member);
        if (prefix !== undefined) rowOf(to, at[i] as number).set(rowOf(from, prefix));
      }),
    );
  }

  #eachKind(into: TokenOutputs, from: TokenOutputs, place: (to: Rows, from: Rows) => void): void {
    if (from.logprobs.length > 0) place(into.logprobs, from.logprobs);
    if (from.entropy) place(into.entropy, from.entropy);
    if (from.values) place(into.values, from.values);
  }

  /** Of derivatives by whole sequences those of their rests. @param at as in `placeRests` */
  restCoefficients(coefficients: Coefficients, members: readonly number[], at = members): Coefficients {
    return mapKinds(coefficients, (rows) =>
      members.map((member, i) => rowOf(rows, at[i] as number).slice(this.#start(member))),
    );
  }

  /** Zeros for the derivatives of the prefixes. @param like says which kinds */
  noPrefixCoefficients(like: Coefficients): Coefficients {
    return mapKinds(like, () => this.wave.prefixes.map(({ length }) => new Float32Array(length)));
  }

  /** Adds derivatives by whole sequences to those of their prefixes. @param at as in `placeRests` */
  addPrefixCoefficients(
    sums: Coefficients,
    coefficients: Coefficients,
    members: readonly number[],
    at = members,
  ): void {
    for (const kind of KINDS) {
      const [to, from] = [sums[kind], coefficients[kind]];
      if (!to || !from || from.length === 0) continue;
      members.forEach((member, i) => {
        const prefix = this.#prefixOf.get(member);
        if (prefix === undefined) return;
        const [sum, row] = [rowOf(to, prefix), rowOf(from, at[i] as number)];
        for (let t = 0; t < sum.length; t++) sum[t] = (sum[t] as number) + (row[t] as number);
      });
    }
  }
}

const KINDS = ['dLogprobs', 'dEntropy', 'dValues'] as const;

/** The same for each kind of derivative that there is; a critic has no `dLogprobs`. */
function mapKinds(coefficients: Coefficients, map: (rows: Float32Array[]) => Float32Array[]): Coefficients {
  const { dLogprobs, dEntropy, dValues } = coefficients;
  return {
    dLogprobs: dLogprobs.length > 0 ? map(dLogprobs) : [],
    ...(dEntropy ? { dEntropy: map(dEntropy) } : {}),
    ...(dValues ? { dValues: map(dValues) } : {}),
  };
}
