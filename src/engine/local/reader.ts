import type { KvCache } from './kv-cache.js';
import { bucketLength } from './micro-batches.js';
import type { Prefix } from './prefixes.js';
import { batchSize, lineOf, type ModelRunner, type NextTokens } from './runner.js';
import { batchSizeWithin } from './slots.js';

/** Padded tokens of one graph run over several texts. */
const READ_TOKENS = 2048;
/** Tokens of one graph run over part of a long text: attention takes memory for each pair of positions. */
const CHUNK_TOKENS = 1024;

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

  constructor(private readonly runner: ModelRunner) {}

  get #vocabSize(): number {
    return this.runner.parameters.config.vocabSize;
  }

  /** Whether a text goes with others into one run. */
  static together({ tokens, base }: Text): boolean {
    return !base && tokens.length <= READ_TOKENS;
  }

  /**
   * Reads texts[i] into slot first + i; those that go together must come first. The cache's slots are at least
   * bucketLength of the longest text, and the cache has `rows` of them.
   * @returns the distributions after each text
   */
  async read(cache: KvCache, rows: number, first: number, texts: readonly Text[]): Promise<NextTokens[]> {
    const results: NextTokens[] = [];
    while (results.length < texts.length) {
      const done = results.length;
      const text = texts[done] as Text;
      if (Reader.together(text)) {
        results.push(...(await this.#readTogether(cache, rows, first + done, texts.slice(done))));
      } else {
        if (text.base) await this.load(cache, first + done, text.base);
        const from = text.base?.tokens.length ?? 0;
        results.push(await this.readFrom(cache, first + done, text.tokens, from, text.temperature));
      }
    }
    return results;
  }

  /** Reads as many of the texts, from the first on, as one run takes. */
  async #readTogether(cache: KvCache, rows: number, first: number, texts: readonly Text[]): Promise<NextTokens[]> {
    let count = 1;
    let S = bucketLength(texts[0]?.tokens.length ?? 0);
    for (const text of texts.slice(1)) {
      const longer = Math.max(S, bucketLength(text.tokens.length));
      if (!Reader.together(text) || longer * (count + 1) > READ_TOKENS) break;
      S = longer;
      count++;
    }
    // A batch is padded with the slots that follow; near the end of the cache there may be none.
    if (batchSize(count) > rows - first) count = batchSizeWithin(Math.min(count, rows - first));
    const batch = texts.slice(0, count);
    const next = await this.runner.read(
      cache,
      first,
      batch.map(({ tokens }) => tokens),
      bucketLength(Math.max(...batch.map(({ tokens }) => tokens.length))),
      batch.map(({ temperature }) => temperature),
    );
    this.tokensRead += batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
    return batch.map((_, b) => lineOf(next, b, this.#vocabSize));
  }

  /**
   * Reads text[from..] into a slot that holds the tokens before. The last few of those are read again where that makes
   * up a length that there is a graph for.
   */
  async readFrom(cache: KvCache, slot: number, text: Int32Array, from: number, temperature: number) {
    let next: NextTokens | undefined;
    // The reply follows from the last token, so at least that one is read.
    for (let start = Math.min(from, text.length - 1); start < text.length;) {
      const end = Math.min(text.length, start + CHUNK_TOKENS);
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
      if (node.rows) {
        cache.write(slot, node.rows);
        continue;
      }
      await this.readFrom(cache, slot, node.tokens, node.from, 1);
      node.rows = cache.read(slot, node.from, node.tokens.length);
    }
  }
}
