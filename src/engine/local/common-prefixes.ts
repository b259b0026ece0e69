import { commonLength } from './prefixes.js';
import type { Sequence } from './training.js';

/** A beginning that several sequences of a pass have in common: inputs and targets, so that its outputs are theirs too. */
export interface CommonPrefix {
  /** In tokens; every member has at least one more. */
  length: number;
  /** Indices into the list of sequences, at least two. */
  members: number[];
}

/** Shorter ones are not worth the graph's further inputs. */
const LEAST_LENGTH = 4;

const common = (a: Sequence, b: Sequence): number =>
  Math.min(commonLength(a.input, b.input), commonLength(a.target, b.target));

/** By the tokens, inputs and targets in turn: sequences that have a beginning in common are neighbours. */
function compare(a: Sequence, b: Sequence): number {
  const t = common(a, b);
  if (t === a.input.length || t === b.input.length) return a.input.length - b.input.length;
  const inputs = (a.input[t] as number) - (b.input[t] as number);
  return inputs === 0 ? (a.target[t] as number) - (b.target[t] as number) : inputs;
}

interface Choice {
  /** Tokens that need not be run again. */
  saved: number;
  prefixes: { length: number; from: number; until: number }[];
}

/** Neighbours that have `length` tokens in common: a node of the radix tree, the parts of which are known so far. */
interface Node {
  length: number;
  from: number;
  apart: Choice;
}

function add(to: Choice, part: Choice): void {
  to.saved += part.saved;
  to.prefixes.push(...part.prefixes);
}

/** The node as one prefix, or the best of its parts. */
function choose({ length, from, apart }: Node, until: number): Choice {
  const saved = length < LEAST_LENGTH ? 0 : length * (until - from - 1);
  return saved > 0 && saved >= apart.saved ? { saved, prefixes: [{ length, from, until }] } : apart;
}

/**
 * The prefixes that together save most tokens when each is run once, no sequence in two of them: the best set of nodes
 * of the sequences' radix tree of which none is above another. Groups of rollouts are found by their prompts, equal rollouts by all but their end.
 */
export function findCommonPrefixes(sequences: readonly Sequence[]): CommonPrefix[] {
  const order = [...sequences.keys()].sort((a, b) => compare(sequences[a] as Sequence, sequences[b] as Sequence));
  const at = (rank: number): Sequence => sequences[order[rank] as number] as Sequence;
  /** What the sequences of this rank and the one before have in common; each keeps a token of its own. */
  const shared = (rank: number): number => {
    if (rank === order.length) return 0;
    const [before, own] = [at(rank - 1), at(rank)];
    return Math.min(common(before, own), before.input.length - 1, own.input.length - 1);
  };
  const root: Node = { length: 0, from: 0, apart: { saved: 0, prefixes: [] } };
  const path = [root];
  const last = (): Node => path.at(-1) as Node;
  for (let rank = 1; rank <= order.length; rank++) {
    const length = shared(rank);
    let from = rank - 1;
    let part: Choice = { saved: 0, prefixes: [] };
    while (last().length > length) {
      const node = path.pop() as Node;
      add(node.apart, part);
      part = choose(node, rank);
      from = node.from;
    }
    if (last().length < length) path.push({ length, from, apart: part });
    else add(last().apart, part);
  }
  return root.apart.prefixes.map(({ length, from, until }) => ({
    length,
    members: order.slice(from, until).sort((a, b) => a - b),
  }));
}
