import type { SampleRequest } from '../types.js';
import { bucketLength, planMicroBatches, RUN_COST, type MicroBatch } from './micro-batches.js';

/** One graph run of one thread should not be smaller: below this, overhead outweighs balance. */
const LEAST_TOKENS = 256;
/** Speed of one worker with n threads, over n workers with one each: small products split badly. */
const TOGETHER = 0.9;

const costOf = (batches: readonly MicroBatch[]): number => batches.reduce((sum, { T, B }) => sum + T * B + RUN_COST, 0);

/** Each batch, the largest first, to whoever has least to do. */
function dealOut(batches: readonly MicroBatch[], workers: number): MicroBatch[][] {
  const hands = Array.from({ length: workers }, (): MicroBatch[] => []);
  for (const batch of [...batches].sort((a, b) => b.T * b.B - a.T * a.B)) {
    const least = hands.reduce((best, hand) => (costOf(hand) < costOf(best) ? hand : best));
    least.push(batch);
  }
  return hands;
}

/**
 * Micro-batches for each of several workers that train side by side, or undefined where one worker with all threads is
 * done sooner: few or unequal sequences cannot be divided well. A pure function of its arguments.
 * @param tokens of one graph run of a worker with all threads
 */
export function divideSequences(
  lengths: readonly number[],
  tokens: number,
  workers: number,
): MicroBatch[][] | undefined {
  const alone = costOf(planMicroBatches(lengths, tokens)) / (workers * TOGETHER);
  let best: MicroBatch[][] | undefined;
  let least = alone;
  for (let each = tokensOfEach(tokens, workers); ; each /= 2) {
    const hands = dealOut(planMicroBatches(lengths, each), workers);
    const cost = Math.max(...hands.map(costOf));
    if (cost < least) [best, least] = [hands, cost];
    if (each / 2 < LEAST_TOKENS) return best;
  }
}

/** Tokens of one graph run of each worker, so that all of them hold no more than one would. */
export function tokensOfEach(tokens: number, workers: number): number {
  return Math.min(tokens, Math.max(LEAST_TOKENS, Math.floor(tokens / workers)));
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
