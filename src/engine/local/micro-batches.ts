import type { ModelConfig } from '../../model/index.js';
import { paddedLength } from './llama/layer-graph.js';

/** Sequences that share one graph run, padded to T tokens. */
export interface MicroBatch {
  T: number;
  /** Indices into the list of sequences. */
  members: number[];
}

/** What the activations of one graph run may take where the caller sets no budget, in bytes. */
export const MOST_BYTES = 1.25 * 2 ** 30;
/** Where the caller sets no budget: 1,024 tokens, or the next lower power of two that fits; at least 128. */
const DEFAULT_TOKENS = { most: 1024, least: 128 };

/** Bytes of activations that the forward pass of `tokens` tokens, in sequences of T, keeps for the backward pass. */
export function activationBytes(
  { layers, hiddenSize, mlpSize, heads }: ModelConfig,
  tokens: number,
  T: number,
): number {
  return 4 * tokens * layers * (8 * hiddenSize + 2 * mlpSize + heads * T);
}

/** Tokens of one graph run, so that it holds about 1.25 GiB at the most. A pure function of the model's shape. */
export function defaultTokensPerMicroBatch(config: ModelConfig): number {
  const { most, least } = DEFAULT_TOKENS;
  let tokens = most;
  while (tokens > least && activationBytes(config, tokens, 256) > MOST_BYTES) tokens /= 2;
  return tokens;
}

/** What one more run costs besides its padded tokens, in tokens: session overhead on small models. */
export const RUN_COST = 64;
/** Keys of prefixes may take as much room again as this share of the budget. */
const ROOM_FOR_PAST = 1 / 4;

/** A length or count rounded up in steps of 16 up to 128, then of about an eighth, so that few graphs serve all. */
export function bucketLength(length: number): number {
  const step = 16 * 2 ** Math.max(0, Math.ceil(Math.log2(length)) - 7);
  return Math.ceil(length / step) * step;
}

/** What runs cost, in tokens. @param past as in `planMicroBatches` */
export function costOfBatches(batches: readonly MicroBatch[], past = 0): number {
  return batches.reduce((sum, { T, members }) => sum + members.length * (T + past) + RUN_COST, 0);
}

/**
 * Splits sequences into graph runs of at most `tokens` padded tokens (a longer sequence runs alone), so that padded
 * tokens plus the cost of runs is least: in the order of their lengths, by dynamic programming over where to cut.
 * A pure function of its arguments.
 * @param past what each row costs besides its own tokens, in tokens: keys of a prefix that it follows. These may take a
 *   quarter of the budget beyond it
 */
export function planMicroBatches(lengths: readonly number[], tokens: number, past = 0): MicroBatch[] {
  const order = [...lengths.keys()].sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
  const best: { cost: number; from: number }[] = [{ cost: 0, from: 0 }];
  const longest = (until: number): number => paddedLength(lengths[order[until - 1] as number] as number);
  for (let until = 1; until <= order.length; until++) {
    const T = longest(until);
    const most = Math.min(Math.floor(tokens / T), Math.floor((tokens * (1 + ROOM_FOR_PAST)) / (T + past)));
    let choice = { cost: Infinity, from: 0 };
    for (let from = until - 1; from >= Math.max(0, until - Math.max(1, most)); from--) {
      const cost = (best[from]?.cost as number) + (until - from) * (T + past) + RUN_COST;
      if (cost < choice.cost) choice = { cost, from };
    }
    best.push(choice);
  }
  const batches: MicroBatch[] = [];
  for (let until = order.length; until > 0; until = best[until]?.from as number)
    batches.unshift({ T: longest(until), members: order.slice(best[until]?.from, until) });
  return batches;
}
