import type { KvRows } from './kv-cache.js';

/** How many tokens two sequences have in common at their beginning. */
export function commonLength(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

/**
 * The beginning of a sequence, whose keys and values are kept for the sequences that go on from it. A node of a tree:
 * it holds the rows that its parent does not.
 */
export class Prefix {
  /** Keys and values of positions [from, tokens.length); undefined until read. */
  rows: KvRows | undefined;
  /** Users that need it to stay. */
  pins = 0;
  /** Open continuations of exactly this prefix. */
  holders = 0;

  constructor(
    readonly parent: Prefix | undefined,
    /** All of it, from the first token of the sequence. */
    readonly tokens: Int32Array,
    /** Some rows come from a reply, as decoding made them; otherwise all are as reading the chain makes them. */
    readonly kept = false,
  ) {}

  get from(): number {
    return this.parent?.tokens.length ?? 0;
  }

  /** From the root to this one. */
  get chain(): Prefix[] {
    return [...(this.parent?.chain ?? []), this];
  }
}

/**
 * Prefixes by content, least recently used first. Those that nobody needs stay as long as there is room. How a prefix
 * that was read is cut into a chain is part of its identity: the same chain is always read by the same graph runs, so
 * finding it here changes no bit of what follows.
 */
export class PrefixStore {
  readonly #nodes = new Set<Prefix>();
  #limitBytes = 0;

  constructor(private readonly positionBytes: number) {}

  bytesOf(prefix: Prefix): number {
    return (prefix.tokens.length - prefix.from) * this.positionBytes;
  }

  #sum(counts: (prefix: Prefix) => boolean): number {
    let sum = 0;
    for (const prefix of this.#nodes) if (counts(prefix)) sum += this.bytesOf(prefix);
    return sum;
  }

  get bytes(): number {
    return this.#sum(() => true);
  }

  get pinnedBytes(): number {
    return this.#sum(({ pins }) => pins > 0);
  }

  /** Bounds the bytes from now on, and drops what is over. What is pinned stays. */
  limit(bytes: number): void {
    this.#limitBytes = bytes;
    this.makeRoom(0);
  }

  /** Drops prefixes that nobody needs until `bytes` more fit. @returns whether they do */
  makeRoom(bytes: number): boolean {
    let held = this.bytes;
    const parents = new Map<Prefix, number>();
    for (const { parent } of this.#nodes) if (parent) parents.set(parent, (parents.get(parent) ?? 0) + 1);
    let dropped = true;
    while (dropped && held + bytes > this.#limitBytes) {
      dropped = false;
      for (const prefix of this.#nodes) {
        if (held + bytes <= this.#limitBytes) break;
        if (prefix.pins > 0 || (parents.get(prefix) ?? 0) > 0) continue;
        this.#nodes.delete(prefix);
        if (prefix.parent) parents.set(prefix.parent, (parents.get(prefix.parent) ?? 0) - 1);
        held -= this.bytesOf(prefix);
        dropped = true;
      }
    }
    return held + bytes <= this.#limitBytes;
  }

  add(prefix: Prefix): void {
    this.#nodes.add(prefix);
  }

  has(prefix: Prefix): boolean {
    return this.#nodes.has(prefix);
  }

  remove(prefix: Prefix): void {
    this.#nodes.delete(prefix);
  }

  /** The prefix of these tokens that was read after `parent`. */
  find(parent: Prefix | undefined, tokens: Int32Array): Prefix | undefined {
    for (const prefix of this.#nodes) {
      if (prefix.parent !== parent || prefix.kept || prefix.tokens.length !== tokens.length) continue;
      if (commonLength(prefix.tokens, tokens) !== tokens.length) continue;
      this.#touch(prefix);
      return prefix;
    }
    return undefined;
  }

  /** Of the replies kept and the open continuations, the one that has the longest beginning in common with `tokens`. */
  longest(tokens: Int32Array): { prefix: Prefix; length: number } | undefined {
    let best: { prefix: Prefix; length: number } | undefined;
    for (const prefix of this.#nodes) {
      if (!prefix.rows || !(prefix.kept || prefix.holders > 0)) continue;
      const length = commonLength(prefix.tokens, tokens);
      if (length > (best?.length ?? 0)) best = { prefix, length };
    }
    if (best) this.#touch(best.prefix);
    return best;
  }

  #touch(prefix: Prefix): void {
    for (const node of prefix.chain) {
      if (this.#nodes.delete(node)) this.#nodes.add(node);
    }
  }

  pin(prefix: Prefix): void {
    for (const node of prefix.chain) node.pins++;
  }

  unpin(prefix: Prefix): void {
    for (const node of prefix.chain) node.pins--;
  }

  /** Drops what was planned and never read. */
  dropUnread(): void {
    for (const prefix of this.#nodes) if (!prefix.rows && prefix.pins === 0) this.#nodes.delete(prefix);
  }

  clear(): void {
    for (const prefix of this.#nodes) prefix.rows = undefined;
    this.#nodes.clear();
  }
}
