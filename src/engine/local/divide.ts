import type { SampleRequest } from '../types.js';
import { findCommonPrefixes, type CommonPrefix } from './common-prefixes.js';
import { bucketLength, costOfBatches, planMicroBatches } from './micro-batches.js';
import type { Sequence } from './training.js';
import { costOfWaves, wavesOf, type TokenBudget, type Wave } from './waves.js';

/** One graph run of one thread should not be smaller: below this, overhead outweighs balance. */
const LEAST_TOKENS = 256;
/** Speed of one worker with n threads, over n workers with one each: small products split badly. */
const TOGETHER = 0.9;

/** Each piece, the largest first, to whoever has least to do. */
function dealOut<T>(pieces: readonly T[], workers: number, cost: (piece: T) => number): T[][] {
  const hands = Array.from({ length: workers }, () => ({ pieces: [] as T[], cost: 0 }));
  for (const piece of [...pieces].sort((a, b) => cost(b) - cost(a))) {
    const least = hands.reduce((best, hand) => (hand.cost < best.cost ? hand : best));
    least.pieces.push(piece);
    least.cost += cost(piece);
  }
  return hands.map((hand) => hand.pieces);
}

/** A prefix with all its members or some of them. */
interface Piece {
  prefix: CommonPrefix;
  whole: CommonPrefix;
}

/** A prefix with more than one in so many of a worker's tokens is cut, into pieces of one in so many. */
const CUT = { above: 4, into: 16 } as const;

/** Cuts prefixes with too many members to be dealt out evenly; each may be run by several workers then. */
function piecesOf(prefixes: readonly CommonPrefix[], lengths: readonly number[], workers: number): Piece[] {
  const tokens = (members: readonly number[]): number => members.reduce((sum, m) => sum + (lengths[m] as number), 0);
  const each = lengths.reduce((sum, length) => sum + length, 0) / workers;
  return prefixes.flatMap((whole) => {
    const { length, members } = whole;
    const share = tokens(members) / each;
    const pieces = share > 1 / CUT.above ? Math.ceil(share * CUT.into) : 1;
    const count = Math.min(pieces, Math.floor(members.length / 2));
    const cut = (i: number): number => Math.round((i * members.length) / count);
    return Array.from({ length: count }, (_, i) => ({
      whole,
      prefix: { length, members: members.slice(cut(i), cut(i + 1)) },
    }));
  });
}

/** Prefixes of one hand: pieces of the same are one again. */
function rejoined(pieces: readonly Piece[]): CommonPrefix[] {
  const members = new Map<CommonPrefix, number[]>();
  for (const { whole, prefix } of pieces) members.set(whole, [...(members.get(whole) ?? []), ...prefix.members]);
  return [...members].map(([{ length }, list]) => ({ length, members: list.sort((a, b) => a - b) }));
}

/** By prefixes, those without one by themselves; the waves of each worker. */
function dealPrefixes(
  lengths: readonly number[],
  prefixes: readonly CommonPrefix[],
  budget: TokenBudget,
  workers: number,
): Wave[][] {
  const inPrefix = new Set(prefixes.flatMap(({ members }) => members));
  const alone = lengths.flatMap((_, m) => {
    const prefix = { length: 0, members: [m] };
    return inPrefix.has(m) ? [] : [{ prefix, whole: prefix }];
  });
  const cost = ({ prefix: { length, members } }: Piece): number =>
    members.reduce((sum, member) => sum + (lengths[member] as number) - length, length);
  return dealOut([...piecesOf(prefixes, lengths, workers), ...alone], workers, cost).map((hand) => {
    const members = hand.flatMap(({ prefix }) => prefix.members).sort((a, b) => a - b);
    return wavesOf(lengths, members, rejoined(hand.filter(({ prefix }) => prefix.length > 0)), budget);
  });
}

/** By micro-batches of whole sequences. */
function dealBatches(lengths: readonly number[], { alone }: TokenBudget, workers: number): Wave[][] {
  const hands = dealOut(planMicroBatches(lengths, alone), workers, (batch) => costOfBatches([batch]));
  return hands.map((batches) => (batches.length > 0 ? [{ prefixes: [], batches }] : []));
}

/**
 * Waves for each of several workers that train side by side, or undefined where one worker with all threads is done
 * sooner: few or unequal sequences cannot be divided well. A pure function of its arguments.
 * @param budget of a worker with all threads
 */
export function divideSequences(
  sequences: readonly Sequence[],
  budget: TokenBudget,
  workers: number,
): Wave[][] | undefined {
  const lengths = sequences.map(({ input }) => input.length);
  const prefixes = findCommonPrefixes(sequences);
  const all = [...sequences.keys()];
  let least = costOfWaves(wavesOf(lengths, all, prefixes, budget)) / (workers * TOGETHER);
  let best: Wave[][] | undefined;
  for (let each = budgetOfEach(budget, workers); ; each = { alone: each.alone / 2, beside: each.beside / 2 }) {
    const ways = [dealBatches(lengths, each, workers)];
    if (prefixes.length > 0) ways.push(dealPrefixes(lengths, prefixes, each, workers));
    for (const hands of ways) {
      const cost = Math.max(...hands.map(costOfWaves));
      if (cost < least) [best, least] = [hands, cost];
    }
    if (each.alone / 2 < LEAST_TOKENS) return best;
  }
}

/** Tokens of one graph run of each worker, so that all of them hold no more than one would. */
export function tokensOfEach(tokens: number, workers: number): number {
  return Math.min(tokens, Math.max(LEAST_TOKENS, Math.floor(tokens / workers)));
}

function budgetOfEach({ alone, beside }: TokenBudget, workers: number): TokenBudget {
  return { alone: tokensOfEach(alone, workers), beside: tokensOfEach(beside, workers) };
}

/** Some samples of one request of a call. */
export interface PartOfRequest extends SampleRequest {
  /** Its index in the call. */
  request: number;
  /** The first of its samples; `params.n` says how many. */
  firstSample: number;
}

/** Requests for each worker at which they go over whole, and not a few samples of each. */
const WHOLE_REQUESTS = 4;
/** Sequences for each worker from which it pays to divide a call: fewer read the weights twice for too little. */
const LEAST_SEQUENCES = 16;

/** The cache of the model whose sampling is divided, in tokens. */
export interface CacheSize {
  positions: number;
  maxContext: number;
}

/** Whether the longest sequence has room in a worker's part of the cache. */
function fits(requests: readonly SampleRequest[], { positions, maxContext }: CacheSize, workers: number): boolean {
  return requests.every(({ promptTokens, params }) => {
    const longest = Math.min(promptTokens.length + params.maxTokens, maxContext);
    return bucketLength(longest) * workers <= positions;
  });
}

/**
 * What each of several workers samples of a call, or undefined where there is too little to divide, or too little cache.
 * Neighbours go to different workers, since they may be alike in length. A pure function of its arguments.
 */
export function divideRequests(
  requests: readonly SampleRequest[],
  workers: number,
  cache: CacheSize,
): PartOfRequest[][] | undefined {
  const sequences = requests.reduce((sum, { params }) => sum + params.n, 0);
  if (sequences < workers * LEAST_SEQUENCES || !fits(requests, cache, workers)) return undefined;
  const parts = Array.from({ length: workers }, (): PartOfRequest[] => []);
  if (requests.length >= workers * WHOLE_REQUESTS) {
    requests.forEach((source, request) => parts[request % workers]?.push({ ...source, request, firstSample: 0 }));
    return parts;
  }
  requests.forEach((source, request) => {
    const cut = (worker: number): number => Math.floor((worker * source.params.n) / workers);
    parts.forEach((part, w) => {
      const n = cut(w + 1) - cut(w);
      if (n > 0) part.push({ ...source, params: { ...source.params, n }, request, firstSample: cut(w) });
    });
  });
  return parts;
}
