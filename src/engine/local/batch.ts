import type { Sample, SampleRequest, StopReason } from '../types.js';
import type { Keeper } from './keeper.js';
import type { KvCache } from './kv-cache.js';
import { Placing } from './placing.js';
import type { Prefix } from './prefixes.js';
import type { Reader, Text } from './reader.js';
import { lineOf, type ModelRunner, type NextTokens } from './runner.js';
import type { Row, RowQueue } from './rows.js';
import type { SlotPlan } from './slots.js';

export interface SamplingHooks {
  aborted(): boolean;
  progress(done: number, total: number, tokens: number): void;
  /** Told once a turn of the tokens it drew, [3 x tokens]: request, sample, token. Absent: nobody listens. */
  drawn?(tokens: Int32Array): void;
}

/** What one call of the sampler works with. */
export interface BatchParts {
  requests: readonly SampleRequest[];
  queue: RowQueue;
  plan: SlotPlan;
  cache: KvCache;
  runner: ModelRunner;
  reader: Reader;
  keeper: Keeper;
  /** The shared beginning of each request's prompt. */
  bases: readonly (Prefix | undefined)[];
}

/** Rows that start from the same text. */
interface Group extends Text {
  request: number;
  rows: Row[];
  /** The text is a prompt, not also part of a reply. */
  fresh: boolean;
}

/**
 * Continuous batching: a prompt is read once for all its samples, a finished sequence's slot goes to the next one
 * waiting, and running sequences stay packed in the first slots, so that the graph can shrink as the queue runs dry.
 * Where sequences outgrow the cache, the youngest are set back and read again later. Who sits where is a pure function
 * of requests, lengths and the cache's size.
 */
export class Batch {
  readonly #parts: BatchParts;
  readonly #running: Row[] = [];
  readonly #finished: Sample[][];
  readonly #total: number;
  readonly #version: number;
  #done = 0;
  #tokens = 0;
  /** Drawn and not yet told: request, sample, token, ... */
  #untold: number[] = [];
  /** Sequences that had to make room. */
  setBack = 0;

  constructor(
    parts: BatchParts,
    private readonly hooks: SamplingHooks,
  ) {
    this.#parts = parts;
    this.#finished = parts.requests.map(({ params }) => new Array<Sample>(params.n));
    this.#total = parts.queue.size;
    this.#version = parts.runner.parameters.version;
  }

  /** @returns samples[request][sample] */
  async run(): Promise<Sample[][]> {
    try {
      while (this.#running.length + this.#parts.queue.size > 0) {
        if (this.hooks.aborted()) this.#abort();
        else await this.#turn();
        this.#tell();
      }
      return this.#finished;
    } finally {
      this.#parts.keeper.letGo();
    }
  }

  /** Starts what there is room for, and gives every running sequence one more token. */
  async #turn(): Promise<void> {
    const { cache, runner } = this.#parts;
    await this.#admit();
    if (this.#running.length === 0) return;
    this.#makeRoom();
    const next = await runner.step(cache, this.#running);
    const ended = this.#running.flatMap((row, slot) => (this.#advance(row, slot, next) ? [slot] : []));
    // From the back, so that the last row, which moves into a freed slot, is one that goes on.
    for (const slot of ended.reverse()) if (!(await this.#refill(slot))) this.#vacate(slot);
  }

  #abort(): void {
    for (const row of this.#running.splice(0)) this.#finish(row, 'aborted');
    for (let row = this.#parts.queue.take(); row; row = this.#parts.queue.take()) this.#finish(row, 'aborted');
  }

  #finish(row: Row, stopReason: StopReason): void {
    (this.#finished[row.request] as Sample[])[row.sample] = row.result(stopReason, this.#version);
    this.hooks.progress(++this.#done, this.#total, this.#tokens);
  }

  #draw(row: Row, next: NextTokens): StopReason | undefined {
    this.#tokens++;
    const reason = row.draw(next, this.#version);
    if (this.hooks.drawn) this.#untold.push(row.request, row.sample, row.newest);
    return reason;
  }

  #tell(): void {
    if (this.#untold.length === 0) return;
    this.hooks.drawn?.(Int32Array.from(this.#untold));
    this.#untold = [];
  }

  /** @returns whether the row has ended */
  #advance(row: Row, slot: number, next: NextTokens): boolean {
    row.cached++;
    const reason = this.#draw(row, lineOf(next, slot, this.#parts.runner.parameters.config.vocabSize));
    if (!reason) return false;
    this.#parts.keeper.reply(row, slot);
    this.#finish(row, reason);
    return true;
  }

  /**
   * Gives a slot to the next row where its prompt is held: nothing has to be read, and no row to be moved.
   * @returns whether there was one that goes on
   */
  async #refill(slot: number): Promise<boolean> {
    const { queue, plan, cache, reader, keeper } = this.#parts;
    for (let row = queue.peek(); row; row = queue.peek()) {
      const held = row.tokens.length === 0 ? keeper.held(row.request) : undefined;
      if (!held?.prefix || plan.lengthFor([row]) > cache.length) return false;
      queue.take();
      row.cached = held.prefix.tokens.length;
      const reason = this.#draw(row, held.next);
      if (reason) {
        this.#finish(row, reason);
        continue;
      }
      await reader.load(cache, slot, held.prefix);
      this.#running[slot] = row;
      return true;
    }
    return false;
  }

  /** Frees a slot by moving the last running row into it. */
  #vacate(slot: number): void {
    const last = this.#running.length - 1;
    const moved = this.#running.pop() as Row;
    if (slot === last) return;
    this.#parts.cache.copySlot(last, slot, moved.cached);
    this.#running[slot] = moved;
  }

  /** Gives the running rows the length they need, and sets the youngest back while there are too many for it. */
  #makeRoom(): void {
    const { plan, cache } = this.#parts;
    if (this.#running.every((row) => row.cached < cache.length)) return;
    while (this.#running.length > plan.slotsAt(plan.lengthFor(this.#running))) this.#setBackYoungest();
    this.#resize(plan.lengthFor(this.#running));
  }

  #setBackYoungest(): void {
    const slot = this.#running.reduce(
      (youngest, row, i) => ((this.#running[youngest] as Row).before(row) ? i : youngest),
      0,
    );
    const row = this.#running[slot] as Row;
    this.#vacate(slot);
    this.#parts.queue.putBack(row);
    this.setBack++;
  }

  #resize(length: number): void {
    const { cache, runner } = this.#parts;
    if (length === cache.length) return;
    cache.resize(length, this.#running.length);
    runner.forgetViews();
  }

  /** Takes the rows whose turn it is, and cuts the cache so that they fit. */
  #take(): Row[] {
    const { queue, plan, cache } = this.#parts;
    const taken: Row[] = [];
    let length = plan.lengthFor(this.#running);
    for (let row = queue.peek(); row; row = queue.peek()) {
      const longer = Math.max(length, plan.lengthFor([row]));
      if (this.#running.length + taken.length + 1 > plan.slotsAt(longer)) break;
      length = longer;
      taken.push(queue.take() as Row);
    }
    // Reading a few at a time is slow, so slots wait until there are several free or nothing else to do.
    const few = taken.length < Math.min(taken.length + queue.size, Math.max(1, plan.slotsAt(length) >> 3));
    if (few && this.#running.length > 0) {
      for (const row of taken) queue.putBack(row);
      return [];
    }
    const count = this.#running.length + taken.length;
    if (taken.length > 0 && (length > cache.length || plan.slotsAt(cache.length) < count)) this.#resize(length);
    return taken;
  }

  #groups(rows: readonly Row[]): Group[] {
    const groups: Group[] = [];
    for (const row of rows) {
      const { request, temperature } = row;
      const fresh = row.tokens.length === 0;
      const last = groups.at(-1);
      if (fresh && last?.fresh && last.request === request) last.rows.push(row);
      else
        groups.push({ request, rows: [row], fresh, tokens: row.text(), base: this.#parts.bases[request], temperature });
    }
    return groups;
  }

  /** Where a prompt that was read before can be copied from: held outside the slots, or at the beginning of a sibling. */
  #sourceOf({ request, fresh }: Group): { next: NextTokens; source: Prefix | number } | undefined {
    const held = fresh ? this.#parts.keeper.held(request) : undefined;
    if (!held) return undefined;
    const source = held.prefix ?? this.#running.findIndex((row) => row.request === request);
    return source === -1 ? undefined : { next: held.next, source };
  }

  /** Starts the rows whose turn it is: reads their texts, draws their first tokens and puts them into slots. */
  async #admit(): Promise<void> {
    const { cache, reader, keeper } = this.#parts;
    const taken = this.#take();
    if (taken.length === 0) return;
    const first = this.#running.length;
    const groups = this.#groups(taken).map((group) => ({ group, known: this.#sourceOf(group) }));
    const unread = groups.flatMap(({ group, known }) => (known ? [] : [group]));
    const together = (text: Text): boolean => reader.together(text, cache);
    const texts = [...unread.filter(together), ...unread.filter((text) => !together(text))];
    const next = await reader.read(cache, first, texts);
    const placing = new Placing(cache, reader, first, texts.length);
    for (const { group, known } of groups) {
      if (known) this.#start(group, known.next, (row) => placing.from(row, known.source));
    }
    texts.forEach((group, i) => {
      if (group.fresh) keeper.prompt(group.request, group.tokens, first + i);
      this.#hold(group, next[i] as NextTokens, first + i);
      this.#start(group, next[i] as NextTokens, (row) => placing.fromText(row, i));
    });
    this.#running.push(...(await placing.settle()));
  }

  /** Holds a prompt while more of its samples wait. */
  #hold({ request, fresh, tokens }: Group, next: NextTokens, slot: number): void {
    const waiting = this.#parts.queue.peek();
    if (fresh && waiting?.request === request && waiting.tokens.length === 0)
      this.#parts.keeper.hold(request, tokens, slot, next);
  }

  /** Draws the first token of rows whose text has been read; those that go on are placed. */
  #start({ rows, tokens }: Group, next: NextTokens, place: (row: Row) => void): void {
    for (const row of rows) {
      row.cached = tokens.length;
      const reason = this.#draw(row, next);
      if (reason) this.#finish(row, reason);
      else place(row);
    }
  }
}
