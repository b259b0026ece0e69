import type { KvCache } from './kv-cache.js';
import { Prefix, type PrefixStore } from './prefixes.js';
import type { Row } from './rows.js';
import type { NextTokens } from './runner.js';

/** A prompt whose samples did not all find a slot: the others need not read it again. */
interface Held {
  request: number;
  next: NextTokens;
  /** Its rows, where there was room for them. */
  prefix: Prefix | undefined;
}

/** Keeps keys and values outside the slots: of the prompt whose samples are still waiting, and for continuations. */
export class Keeper {
  readonly #prompts = new Map<number, Prefix>();
  #held: Held | undefined;

  /** @param keepAll keep prompts and replies for continuations, as far as there is room */
  constructor(
    private readonly cache: KvCache,
    private readonly store: PrefixStore,
    private readonly bases: readonly (Prefix | undefined)[],
    private readonly keepAll: boolean,
  ) {}

  #add(prefix: Prefix, slot: number): Prefix | undefined {
    if (!this.store.makeRoom(this.store.bytesOf(prefix))) return undefined;
    prefix.rows = this.cache.read(slot, prefix.from, prefix.tokens.length);
    this.store.add(prefix);
    return prefix;
  }

  /** A request's prompt has been read into a slot. */
  prompt(request: number, tokens: Int32Array, slot: number): void {
    if (!this.keepAll) return;
    const kept = this.#add(new Prefix(this.bases[request], tokens, true), slot);
    if (kept) this.#prompts.set(request, kept);
  }

  /** A reply has ended in its slot. */
  reply(row: Row, slot: number): void {
    const prompt = this.#prompts.get(row.request);
    if (!prompt || !this.store.has(prompt) || row.cached <= prompt.tokens.length) return;
    this.#add(new Prefix(prompt, row.text().subarray(0, row.cached), true), slot);
  }

  /** What is held of a request's prompt. */
  held(request: number): Held | undefined {
    return this.#held?.request === request ? this.#held : undefined;
  }

  /** Holds a prompt that has been read into a slot, and what follows it. */
  hold(request: number, tokens: Int32Array, slot: number, next: NextTokens): void {
    this.letGo();
    const kept = this.#prompts.get(request);
    const prefix = kept && this.store.has(kept) ? kept : this.#add(new Prefix(this.bases[request], tokens), slot);
    if (prefix) this.store.pin(prefix);
    this.#held = { request, next, prefix };
  }

  letGo(): void {
    const prefix = this.#held?.prefix;
    this.#held = undefined;
    if (!prefix) return;
    this.store.unpin(prefix);
    if (!prefix.kept) this.store.remove(prefix);
  }
}
