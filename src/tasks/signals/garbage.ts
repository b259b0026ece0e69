import { HoneError } from '../../core/index.js';
import { languageMixing, unreadableShare, type Script } from './language.js';
import { repetitionShare } from './repetition.js';

/** exp of the mean negative log-probability (nats) of the tokens of a response. @throws HoneError usage without tokens. */
export function perplexity(logprobs: ArrayLike<number>): number {
  if (logprobs.length === 0)
    throw new HoneError('usage', 'the perplexity of no tokens is not defined', { where: 'perplexity' });
  let sum = 0;
  for (let i = 0; i < logprobs.length; i++) sum += logprobs[i] as number;
  return Math.exp(-sum / logprobs.length);
}

/** Where a response counts as garbage. A limit that is left out is not looked at; there are no values by default. */
export interface GarbageLimits {
  /** Largest share of repeated n-grams, and n. */
  repetition?: { share: number; n: number };
  /** Largest share of words in another script. */
  mixing?: { share: number; home?: Script };
  /** Largest share of characters that cannot be read. */
  unreadable?: number;
  /** Largest perplexity; needs the log-probabilities of the response. */
  perplexity?: number;
  /** A response that was cut off is garbage too. */
  cutOff?: boolean;
}

/** A response with what the filter may look at. */
export interface Garbageable {
  text: string;
  /** Token ids, in which repetition is counted; left out: words of the text. */
  tokens?: ArrayLike<number>;
  /** Log-probability of each token, in nats. */
  logprobs?: ArrayLike<number>;
  stopReason?: string;
}

export type GarbagePattern = 'repetition' | 'mixing' | 'unreadable' | 'perplexity' | 'cut-off';

/**
 * The unexpected patterns of a response: T1 (arXiv 2501.11651) sets the reward of a response with one of them to -1. Its
 * limits are not published; n-gram rules and a perplexity filter are named.
 * @returns the patterns that are beyond their limits; an empty list for a clean response.
 * @throws HoneError usage where a perplexity is limited and no log-probabilities are given.
 */
export function garbagePatterns(response: Garbageable, limits: GarbageLimits): GarbagePattern[] {
  const found: GarbagePattern[] = [];
  const { repetition, mixing, unreadable } = limits;
  const units = response.tokens?.length ? response.tokens : response.text;
  if (repetition && repetitionShare(units, repetition.n) > repetition.share) found.push('repetition');
  if (mixing && languageMixing(response.text, mixing.home).mixing > mixing.share) found.push('mixing');
  if (unreadable !== undefined && unreadableShare(response.text) > unreadable) found.push('unreadable');
  if (limits.perplexity !== undefined && perplexityOf(response) > limits.perplexity) found.push('perplexity');
  if (limits.cutOff === true && response.stopReason === 'length') found.push('cut-off');
  return found;
}

/** An empty response has no token to be surprised by. */
function perplexityOf({ logprobs, text }: Garbageable): number {
  if (logprobs === undefined)
    throw new HoneError('usage', 'a limit on perplexity needs the log-probabilities of the response', {
      where: 'garbagePatterns',
      hint: 'Give `logprobs`, or leave the limit out.',
    });
  return logprobs.length === 0 && text === '' ? 1 : perplexity(logprobs);
}
