import { HoneError } from '../../core/index.js';
import type { Sample, SampleRequest } from '../types.js';
import { Batch, type SamplingHooks } from './batch.js';
import { Keeper } from './keeper.js';
import { KvCache, positionBytes } from './kv-cache.js';
import { bucketLength } from './micro-batches.js';
import type { Parameters } from './parameters.js';
import { planPrefixes, type SharedPrefix } from './prefix-plan.js';
import { Prefix, PrefixStore } from './prefixes.js';
import { Reader } from './reader.js';
import { replyLimit, RowQueue } from './rows.js';
import { ModelRunner } from './runner.js';
import type { SessionOptions } from './session.js';
import { positionsFor, SlotPlan } from './slots.js';
import type { Vocabulary } from './stop.js';

export type { SamplingHooks };

export interface SamplingOptions extends SessionOptions {
  /** Sequences decoded at once, at most, in a call whose longest can need so many positions. */
  slots: (longest: number) => number;
  maxContext: number;
  /** Bound for all keys and values, in bytes. */
  cacheBytes: number;
  /** Read what prompts of one call have in common only once. */
  sharePrefixes: boolean;
}

/** Counts since the sampler's model was opened, for checks and tuning. */
export interface SamplingStats {
  /** Tokens that went through the model to read prompts and sequences that were set back; padding not counted. */
  tokensRead: number;
  /** Sequences set back to make room for others. */
  setBack: number;
  /** Most bytes of keys and values at any time. */
  peakCacheBytes: number;
}

/** Part of the budget that shared prefixes may take while sequences run. */
const PREFIX_SHARE = 1 / 4;
/** A cache above this is given back when a call ends: training needs the memory, and taking it again is cheap. */
const IDLE_BYTES = 2 ** 28;

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/**
 * The sampler of one set of weights: takes calls one at a time, and divides the cache budget between the slots of
 * running sequences and the prefixes that are shared, kept or continued. Results are a pure function of the requests,
 * the options, and the continuations and replies that the caller keeps.
 */
export class Sampling {
  readonly #runner: ModelRunner;
  readonly #reader: Reader;
  readonly #store: PrefixStore;
  readonly #positionBytes: number;
  #cache: KvCache | undefined;
  #version: number;
  #setBack = 0;
  #peakBytes = 0;

  constructor(
    readonly parameters: Parameters,
    readonly vocabulary: Vocabulary,
    private readonly options: SamplingOptions,
  ) {
    this.#runner = new ModelRunner(parameters, options);
    this.#reader = new Reader(this.#runner, options.maxContext);
    this.#positionBytes = positionBytes(parameters.config);
    this.#store = new PrefixStore(this.#positionBytes);
    this.#version = parameters.version;
  }

  get stats(): SamplingStats {
    return { tokensRead: this.#reader.tokensRead, setBack: this.#setBack, peakCacheBytes: this.#peakBytes };
  }

  /**
   * @param how.base what all prompts begin with (a continuation)
   * @param how.keep keep prompts and replies for continuations, as far as the budget goes
   * @returns samples[request][sample]
   * @throws HoneError when a prompt is empty, leaves no room to generate, or cannot fit the cache budget
   */
  async sample(
    requests: readonly SampleRequest[],
    hooks: SamplingHooks,
    how: { base?: Prefix; keep?: boolean } = {},
  ): Promise<Sample[][]> {
    this.dropOutdated();
    const { maxContext, slots } = this.options;
    const queue = new RowQueue(requests, maxContext, this.vocabulary);
    if (queue.size === 0) return requests.map(() => []);
    const longest = this.#longest(requests);
    const bases = this.#plan(requests, longest, how.base);
    const pinned = [...new Set(bases)].filter((prefix) => prefix !== undefined);
    pinned.forEach((prefix) => this.#store.pin(prefix));
    const most = Math.min(slots(longest), queue.size);
    try {
      const cache = this.#cacheOf(Math.min(this.#freePositions(longest), positionsFor(most, longest)));
      const keeper = new Keeper(cache, this.#store, bases, how.keep ?? false);
      const plan = new SlotPlan(cache.positions, most, longest);
      const batch = new Batch(
        { requests, queue, plan, cache, runner: this.#runner, reader: this.#reader, keeper, bases },
        hooks,
      );
      const samples = await batch.run();
      this.#setBack += batch.setBack;
      return samples;
    } finally {
      pinned.forEach((prefix) => this.#store.unpin(prefix));
      this.#store.dropUnread();
      this.#countPeak();
      this.#giveBackIdle();
    }
  }

  /** Positions that the longest sequence of a call can need. */
  #longest(requests: readonly SampleRequest[]): number {
    let longest = 0;
    requests.forEach((request, i) => {
      if (request.params.stop?.length && !this.vocabulary.tokenBytes) {
        throw new HoneError('usage', 'stop strings need a tokenizer, and this model was opened without one', {
          hint: 'Give tokenizerPath with the model source, or end replies with the end token.',
        });
      }
      const limit = replyLimit(request, i, this.options.maxContext);
      longest = Math.max(longest, bucketLength(request.promptTokens.length + limit));
    });
    return longest;
  }

  /** Cache positions that prefixes in use leave for slots. @throws HoneError when no sequence fits */
  #freePositions(needed: number): number {
    const pinned = this.#store.pinnedBytes;
    const positions = Math.floor((this.options.cacheBytes - pinned) / this.#positionBytes);
    if (positions >= needed) return positions;
    const held = pinned > 0 ? ` beside ${megabytes(pinned)} of open continuations` : '';
    throw new HoneError(
      'resource',
      `one sequence of ${needed} tokens needs ${megabytes(needed * this.#positionBytes)} of cache; the budget is ` +
        `${megabytes(this.options.cacheBytes)}${held}`,
      {
        where: 'cacheBytes',
        hint: 'Open the model with a larger cacheBytes, ask for fewer maxTokens, or close continuations.',
      },
    );
  }

  /** Chooses what prompts share, and puts it into the store, to be read when first needed. */
  #plan(requests: readonly SampleRequest[], longest: number, base?: Prefix): (Prefix | undefined)[] {
    if (!this.options.sharePrefixes) return requests.map(() => base);
    const free = (this.options.cacheBytes - this.#store.pinnedBytes) / this.#positionBytes;
    const positions = Math.min(free * PREFIX_SHARE, free - longest);
    const prompts = requests.map(({ promptTokens }) => promptTokens);
    const known = new Map<SharedPrefix, Prefix>();
    const stored = (shared: SharedPrefix): Prefix => {
      const before = known.get(shared);
      if (before) return before;
      const parent = shared.parent ? stored(shared.parent) : base;
      const prefix = this.#store.find(parent, shared.tokens) ?? new Prefix(parent, shared.tokens);
      this.#store.add(prefix);
      known.set(shared, prefix);
      return prefix;
    };
    return planPrefixes(prompts, base?.tokens.length ?? 0, positions).map((shared) => (shared ? stored(shared) : base));
  }

  /** An empty cache of so many positions. */
  #cacheOf(positions: number): KvCache {
    const there = this.#cache;
    if (!there || there.positions !== positions) {
      this.#dropCache();
      this.#cache = new KvCache(this.parameters.config, positions);
    }
    const cache = this.#cache as KvCache;
    cache.resize(0, 0);
    this.#store.limit(this.options.cacheBytes - cache.bytes);
    this.#countPeak();
    return cache;
  }

  #countPeak(): void {
    this.#peakBytes = Math.max(this.#peakBytes, (this.#cache?.bytes ?? 0) + this.#store.bytes);
  }

  #dropCache(): void {
    this.#cache?.free();
    this.#cache = undefined;
    this.#runner.forgetViews();
  }

  #giveBackIdle(): void {
    if ((this.#cache?.bytes ?? 0) > IDLE_BYTES) this.#dropCache();
  }

  /** Lets go of what was read under other weights. */
  dropOutdated(): void {
    if (this.#version === this.parameters.version) return;
    this.#version = this.parameters.version;
    this.#store.clear();
  }

  /**
   * Makes sure that the rows of a prefix are there until `release`, starting from replies that were kept and open
   * continuations with the same beginning.
   * @throws HoneError when the prefix leaves no room for another token in the context or the cache budget
   */
  async hold(tokens: Int32Array): Promise<Prefix> {
    this.dropOutdated();
    const whole = { promptTokens: tokens, params: { n: 1, maxTokens: 1, temperature: 0, seed: 0 } };
    replyLimit(whole, 0, this.options.maxContext);
    const known = this.#store.longest(tokens);
    if (known?.length === tokens.length && known.prefix.tokens.length === tokens.length)
      return this.#held(known.prefix);
    const parent = known?.prefix.chain.findLast((node) => node.tokens.length <= known.length);
    const stored = this.#store.find(parent, tokens);
    if (stored?.rows) return this.#held(stored);
    if (!known) return this.#readHeld(new Prefix(undefined, tokens), 0);
    // What begins within a prefix holds some of that one's rows, so that it is not what reading it would give.
    const within = known.length > (parent?.tokens.length ?? 0);
    this.#store.pin(known.prefix);
    try {
      const made = new Prefix(parent, tokens, within);
      return this.#fits(made, known.prefix)
        ? await this.#readHeld(made, known.length, known.prefix)
        : await this.#readHeld(new Prefix(undefined, tokens), 0);
    } finally {
      this.#store.unpin(known.prefix);
    }
  }

  /** Positions to read a prefix in: one sequence that goes on from there, or what it is read from. */
  #roomFor(made: Prefix, source?: Prefix): number {
    return bucketLength(Math.max(made.tokens.length + 1, source?.tokens.length ?? 0));
  }

  #fits(made: Prefix, source: Prefix): boolean {
    const positions = this.#roomFor(made, source) + made.tokens.length - made.from;
    return positions * this.#positionBytes + this.#store.pinnedBytes <= this.options.cacheBytes;
  }

  /** @param from tokens of it that `source` has */
  async #readHeld(made: Prefix, from: number, source?: Prefix): Promise<Prefix> {
    const room = this.#roomFor(made, source);
    this.#freePositions(room + made.tokens.length - made.from);
    const cache = this.#cacheOf(room);
    cache.resize(room, 0);
    this.#runner.forgetViews();
    this.#store.makeRoom(this.#store.bytesOf(made));
    if (source) await this.#reader.load(cache, 0, source);
    await this.#reader.readPrefix(cache, 0, made, from);
    this.#store.add(made);
    this.#countPeak();
    return this.#held(made);
  }

  #held(prefix: Prefix): Prefix {
    prefix.holders++;
    this.#store.pin(prefix);
    return prefix;
  }

  /** Ends one `hold`. */
  release(prefix: Prefix): void {
    prefix.holders--;
    this.#store.unpin(prefix);
  }

  async dispose(): Promise<void> {
    this.#dropCache();
    this.#store.clear();
    await this.#runner.dispose();
  }
}
