import type { ModelConfig } from '../../model/index.js';
import { findCommonPrefixes, type CommonPrefix } from './common-prefixes.js';
import {
  activationBytes,
  costOfBatches,
  MOST_BYTES,
  planMicroBatches,
  RUN_COST,
  type MicroBatch,
} from './micro-batches.js';
import type { Sequence } from './training.js';

/** Padded tokens of a graph run. */
export interface TokenBudget {
  /** Where it is alone. */
  alone: number;
  /** Of held prefixes, and of a micro-batch beside them. */
  beside: number;
}

/** Two runs are held beside each other in full where both fit the memory that one may take by default. */
export function budgetFor(config: ModelConfig, tokens: number): TokenBudget {
  const fits = activationBytes(config, 2 * tokens, 256) <= MOST_BYTES;
  return { alone: tokens, beside: fits ? tokens : Math.ceil(tokens / 2) };
}

/** Some sequences of a pass: the prefixes they have in common, which are run first and held, and what follows these. */
export interface Wave {
  prefixes: CommonPrefix[];
  /** Of what each sequence has after its prefix, or of whole sequences. */
  batches: MicroBatch[];
}

/**
 * A row's keys before its first token are room and time as well, in tokens of its own: they are copied for each layer
 * (4 of some 14 numbers of the hidden size), and scores are held for them.
 */
const COST_OF_PAST = 1 / 4;

/** What each row costs for the keys of its prefix. */
function costOfPast(prefixes: readonly CommonPrefix[]): number {
  return Math.ceil(longestOf(prefixes) * COST_OF_PAST);
}

const longestOf = (prefixes: readonly CommonPrefix[]): number =>
  prefixes.reduce((longest, { length }) => Math.max(longest, length), 0);

/** In tokens. */
export function costOfWaves(waves: readonly Wave[]): number {
  return waves.reduce((sum, { prefixes, batches }) => {
    const first = prefixes.length > 0 ? prefixes.length * longestOf(prefixes) + RUN_COST : 0;
    return sum + first + costOfBatches(batches, costOfPast(prefixes));
  }, 0);
}

/** Prefixes whose run fits the budget; a longer one runs alone. */
function runsOf(prefixes: readonly CommonPrefix[], tokens: number): CommonPrefix[][] {
  const runs: CommonPrefix[][] = [];
  let current: CommonPrefix[] = [];
  for (const prefix of [...prefixes].sort((a, b) => a.length - b.length)) {
    if (current.length > 0 && prefix.length * (current.length + 1) > tokens) {
      runs.push(current);
      current = [];
    }
    current.push(prefix);
  }
  return current.length > 0 ? [...runs, current] : runs;
}

/** Micro-batches of members' tokens from `start` on, as indices into the whole list. */
function batchesOf(
  lengths: readonly number[],
  members: readonly number[],
  start: (member: number) => number,
  tokens: number,
  past = 0,
): MicroBatch[] {
  const own = members.map((member) => (lengths[member] as number) - start(member));
  return planMicroBatches(own, tokens, past).map((batch) => ({
    ...batch,
    members: batch.members.map((i) => members[i] as number),
  }));
}

function waveOf(lengths: readonly number[], prefixes: CommonPrefix[], { beside }: TokenBudget): Wave {
  const starts = new Map(prefixes.flatMap(({ length, members }) => members.map((member) => [member, length])));
  const members = [...starts.keys()].sort((a, b) => a - b);
  const batches = batchesOf(lengths, members, (member) => starts.get(member) as number, beside, costOfPast(prefixes));
  return { prefixes, batches };
}

/** The waves of these members; prefixes that are not worth their runs are left out. A pure function of its arguments. */
export function wavesOf(
  lengths: readonly number[],
  members: readonly number[],
  prefixes: readonly CommonPrefix[],
  budget: TokenBudget,
): Wave[] {
  const whole = (some: readonly number[]): Wave[] =>
    some.length > 0 ? [{ prefixes: [], batches: batchesOf(lengths, some, () => 0, budget.alone) }] : [];
  const apart = whole(members);
  if (prefixes.length === 0) return apart;
  const inPrefix = new Set(prefixes.flatMap((prefix) => prefix.members));
  const others = members.filter((member) => !inPrefix.has(member));
  const waves = runsOf(prefixes, budget.beside).map((run) => waveOf(lengths, run, budget));
  const shared = [...waves, ...whole(others)];
  return costOfWaves(shared) < costOfWaves(apart) ? shared : apart;
}

/** The waves of a pass over all sequences by one worker. A pure function of its arguments. */
export function planWaves(sequences: readonly Sequence[], budget: TokenBudget): Wave[] {
  const lengths = sequences.map(({ input }) => input.length);
  return wavesOf(lengths, [...sequences.keys()], findCommonPrefixes(sequences), budget);
}
