import type { KvCache } from './kv-cache.js';
import { bucketLength } from './micro-batches.js';
import type { Prefix } from './prefixes.js';
import { lineOf, type ModelRunner, type NextTokens } from './runner.js';

/** Padded tokens of one graph run over several texts, and over part of one, at most. */
const READ_TOKENS = 2048;
/** Attention takes a number for each head, token read and position of a slot, used or not; so many bytes at most. */
const ATTENTION_BYTES = 2 ** 26;
/** Below this many tokens a run is mostly overhead, so that memory does not cut them further. */
const FEWEST_TOKENS = 128;

/** A text to be read into a slot. */
export interface Text {
  tokens: Int32Array;
  /** Its beginning, where that is shared. */
  base: Prefix | undefined;
  temperature: number;
}

/** Reads texts into the slots of a cache: those alone in their beginning together, the others from what is shared. */
export class Reader {
  /** Tokens that went through the model, without padding. */
  tokensRead = 0;

  constructor(
    private readonly runner: ModelRunner,
    private readonly maxContext: number,
  ) {}

  get #vocabSize(): number {
    return this.runner.parameters.config.vocabSize;
  }

  /** Tokens that one run may read into slots of this length. */
  #tokensAt(length: number): number {
    const bytes = this.runner.parameters.config.heads * length * Float32Array.BYTES_PER_ELEMENT;
    return Math.min(READ_TOKENS, Math.max(FEWEST_TOKENS, 2 ** Math.floor(Math.log2(ATTENTION_BYTES / bytes))));
  }

  /** Whether a text goes with others into one run. */
  together({ tokens, base }: Text, cache: KvCache): boolean {
    return !base && tokens.length <= this.#tokensAt(cache.length);
  }

  /**
   * Reads texts[i] into slot first + i; those that go together must come first. The cache's slots are at least
   * bucketLength of the longest text.
   * @returns the distributions after each text
   */
  async read(cache: KvCache, first: number, texts: readonly Text[]): Promise<NextTokens[]> {
    const results: NextTokens[] = [];
    while (results.length < texts.length) {
      const done = results.length;
      const text = texts[done] as Text;
      if (this.together(text, cache)) {
        results.push(...(await this.#readTogether(cache, first + done, texts.slice(done))));
      } else {
        if (text.base) await this.load(cache, first + done, text.base);
        const from = text.base?.tokens.length ?? 0;
        const most = this.#tokensAt(cache.length);
        results.push(await this.#readFrom(cache, first + done, text.tokens, from, most, text.temperature));
      }
    }
    return results;
  }

  /** Reads as many of the texts, from the first on, as one run takes. */
  async #readTogether(cache: KvCache, first: number, texts: readonly Text[]): Promise<NextTokens[]> {
    const most = this.#tokensAt(cache.length);
    let count = 1;
    let S = bucketLength(texts[0]?.tokens.length ?? 0);
    for (const text of texts.slice(1)) {
      const longer = Math.max(S, bucketLength(text.tokens.length));
      if (!this.together(text, cache) || longer * (count + 1) > most) break;
      S = longer;
      count++;
    }
    const batch = texts.slice(0, count);
    const next = await this.runner.read(
      cache,
      first,
      batch.map(({ tokens }) => tokens),
      S,
      batch.map(({ temperature }) => temperature),
    );
    this.tokensRead += batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
    return batch.map((_, b) => lineOf(next, b, this.#vocabSize));
  }

  /**
   * Reads text[from..] into a slot that holds the tokens before, `most` tokens a run. The last few of those before are
   * read again where that makes up a length that there is a graph for.
   */
  async #readFrom(cache: KvCache, slot: number, text: Int32Array, from: number, most: number, temperature: number) {
    let next: NextTokens | undefined;
    // The reply follows from the last token, so at least that one is read.
    for (let start = Math.min(from, text.length - 1); start < text.length;) {
      const end = Math.min(text.length, start + most);
      const S = bucketLength(end - start);
      const part = text.subarray(0, end);
      next =
        S <= end
          ? await this.runner.readOn(cache, slot, part, S, temperature)
          : await this.runner.read(cache, slot, [part], S, [temperature]);
      this.tokensRead += Math.min(S, end);
      start = end;
    }
    return next as NextTokens;
  }

  /** Fills a slot with a prefix; reads what of it has not been read yet. */
  async load(cache: KvCache, slot: number, prefix: Prefix): Promise<void> {
    for (const node of prefix.chain) {
      if (node.rows) cache.write(slot, node.rows);
      else await this.readPrefix(cache, slot, node, node.from);
    }
  }

  /**
   * Reads a prefix into a slot that holds its first `from` tokens, and keeps its rows. The runs do not depend on the
   * length of the slots: reading a prefix again gives the same bits.
   */
  async readPrefix(cache: KvCache, slot: number, prefix: Prefix, from: number): Promise<void> {
    const { tokens } = prefix;
    await this.#readFrom(cache, slot, tokens, from, this.#tokensAt(this.maxContext), 1);
    prefix.rows = cache.read(slot, prefix.from, tokens.length);
  }
}
