import { bucketLength } from './micro-batches.js';

/** A sequence as far as its place in the cache goes, in tokens. */
export interface Extent {
  /** Prompt and what has been generated. */
  length: number;
  /** The longest it can become. */
  longest: number;
}

/** Positions that a sequence can need: reading pads its text to a bucket. */
export function roomAtMost({ longest }: Extent): number {
  return bucketLength(longest);
}

/** Positions that a sequence gets for now: a quarter more than it has, so that few resizes follow. */
function roomForNow(extent: Extent): number {
  return Math.min(roomAtMost(extent), bucketLength(extent.length + Math.max(16, extent.length >> 2)));
}

/**
 * Cuts a fixed number of cache positions into slots of equal length, one a sequence. While the longest that any
 * sequence can become fits every slot, that is the length. Otherwise slots are as long as their sequences need for
 * now, and fewer as these grow. All of it is a pure function of the numbers given.
 */
export class SlotPlan {
  /**
   * @param positions of the cache
   * @param most sequences at once, however many fit
   * @param longest positions that the longest sequence of the call can need
   */
  constructor(
    private readonly positions: number,
    private readonly most: number,
    private readonly longest: number,
  ) {}

  /** Sequences that fit beside each other in slots of this length. */
  slotsAt(length: number): number {
    return Math.min(this.most, Math.floor(this.positions / length));
  }

  /** Length of the slots for these sequences. */
  lengthFor(extents: readonly Extent[]): number {
    if (this.slotsAt(this.longest) === this.most) return this.longest;
    return extents.reduce((length, extent) => Math.max(length, roomForNow(extent)), 0);
  }
}

/** Positions of a cache in which `most` sequences can all grow as long as the longest can. */
export function positionsFor(most: number, longest: number): number {
  return most * longest;
}

/** Sequences at once of a model that samples alone, where the caller sets no number. */
const DEFAULT_SLOTS = 64;

/** Weights, keys and values of all copies that a processor's last cache is likely to hold. */
const HOT_BYTES = 2 ** 24;
/** With fewer sequences at once, what a run costs besides its rows outweighs what a warm cache saves. */
const LEAST_HOT = 12;
/** The graphs of a small model are short, so that more sequences at once pay. */
const MOST_IN_COPY = 128;

/**
 * Sequences at once in each of several copies of a small model, as a function of the positions that the longest can
 * need. Attention waits for memory, so that few sequences at once, whose keys and values stay in the processor's cache,
 * are quicker where the weights leave room for them (experiments/LOG.md).
 */
export function slotsOfCopy(bytes: { weights: number; position: number }, copies: number): (longest: number) => number {
  const free = HOT_BYTES / copies - bytes.weights;
  return (longest) => {
    const hot = Math.floor(free / (bytes.position * (longest / 2)));
    return hot < LEAST_HOT ? MOST_IN_COPY : Math.min(hot, MOST_IN_COPY);
  };
}

/**
 * Sequences at once, as a function of the positions that the longest of a call can need.
 * @param asked what the caller sets, if it does
 * @param copies of the model that sample side by side
 */
export function slotsOf(
  asked: number | undefined,
  bytes: { weights: number; position: number },
  copies: number,
): (longest: number) => number {
  if (asked !== undefined) return () => asked;
  return copies > 1 ? slotsOfCopy(bytes, copies) : () => DEFAULT_SLOTS;
}
