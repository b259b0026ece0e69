import { promptResponseDatum } from '../engine/sequence.js';
import type { Datum } from '../engine/types.js';
import { modelLength, type Attempt, type Group } from './attempt.js';
import type { RlConfig } from './config.js';

/** One response on its way through an iteration, with what is known of its tokens. All arrays are [tokens of the attempt]. */
export interface Sequence {
  prompt: Int32Array;
  attempt: Attempt;
  /** Iterations completed when it was sampled; undefined: not sampled by a trainer. */
  sampledAfter: number | undefined;
  /** 1 on the tokens of the model. */
  mask: Uint8Array;
  /** |o|: tokens of the model. */
  length: number;
  /** log pi_old; filled in before the first use. */
  oldLogprobs: Float32Array | undefined;
  /** Under the reference. */
  refLogprobs: Float32Array | undefined;
  /** Of the critic, before it is updated: values[t] is that of the state before token t. */
  values: Float32Array | undefined;
  /** The critic's value after the last token of a truncated response, where it is asked for. */
  bootstrapValue: number | undefined;
  /** What the critic is regressed on. */
  returns: Float64Array | undefined;
}

/** The attempts as sequences, by group; an attempt without a token of the model is left out. */
export function sequencesOf(groups: readonly Group[]): Sequence[][] {
  return groups.map((group) =>
    group.attempts.map((attempt) => sequenceOf(group, attempt)).filter(({ length }) => length > 0),
  );
}

function sequenceOf({ prompt, sampledAfter }: Group, attempt: Attempt): Sequence {
  return {
    ...{ prompt, attempt, sampledAfter, length: modelLength(attempt) },
    mask: attempt.mask ?? new Uint8Array(attempt.tokens.length).fill(1),
    ...{ oldLogprobs: undefined, refLogprobs: undefined, values: undefined },
    ...{ bootstrapValue: undefined, returns: undefined },
  };
}

/** Under `overlong.filter` a truncated response is in no loss, neither the policy's nor the critic's. */
export function isFiltered({ stopReason }: Attempt, { overlong }: RlConfig): boolean {
  return overlong.filter && stopReason === 'length';
}

/** What one update is made of. */
export interface PlannedUpdate {
  sequences: Sequence[];
  /** Sequences of it that `overlong.filter` took out: they count in the S of the aggregation `constant`, and nowhere else. */
  filtered: number;
}

/** The sequences that are trained, in updates: whole groups for `updatesPerIteration`, runs of `sequencesPerUpdate` otherwise. */
export function planUpdates(groups: readonly Group[], config: RlConfig): PlannedUpdate[] {
  return planOf(sequencesOf(groups), config);
}

/** {@link planUpdates} of sequences by group. */
export function planOf(sequences_PG: readonly Sequence[][], config: RlConfig): PlannedUpdate[] {
  const isTrained = ({ attempt }: Sequence) => !isFiltered(attempt, config);
  const size = config.sequencesPerUpdate;
  // Runs of a number of sequences are cut after the filter, so their number does not depend on it.
  const plan =
    size === null
      ? split(sequences_PG, config.updatesPerIteration ?? 1).map((groups) => groups.flat())
      : chunk(sequences_PG.flat().filter(isTrained), size);
  return plan.flatMap((all) => {
    const sequences = all.filter(isTrained);
    return sequences.length > 0 ? [{ sequences, filtered: all.length - sequences.length }] : [];
  });
}

/** `parts` runs whose sizes differ by at most one; fewer where there is not one item for each. */
export function split<T>(items: readonly T[], parts: number): T[][] {
  const bound = (i: number) => Math.round((i * items.length) / parts);
  return Array.from({ length: parts }, (_, i) => items.slice(bound(i), bound(i + 1))).filter((run) => run.length > 0);
}

/** Runs of `size` items; the last one has what is left. */
export function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** The training sequence, with numbers for each of its response tokens. */
export function datumOf({ prompt, attempt }: Sequence, vectors: Readonly<Record<string, ArrayLike<number>>>): Datum {
  return promptResponseDatum(prompt, attempt.tokens, vectors);
}

/** What an engine returned for a datum of the sequence, cut to the response. */
export function responsePart(values_T: Float32Array | undefined, { prompt, attempt }: Sequence): Float32Array {
  if (values_T?.length !== prompt.length + attempt.tokens.length - 1)
    throw new TypeError('the engine returned numbers of another length than the datum');
  return values_T.slice(prompt.length - 1);
}

/** The weight of a sequence on the tokens of the model, 0 on those of tools. */
export function onModelTokens({ mask }: Sequence, weight: number): Float32Array {
  return new Float32Array(mask).map((m) => m * weight);
}
