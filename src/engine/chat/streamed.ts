import type { Tokenizer } from '../../model/index.js';
import { overlap, ReasoningSplitter } from './reasoning.js';
import type { ChatDelta } from './types.js';

/** Stands for bytes that are no whole character yet. */
const INCOMPLETE = '\uFFFD';

export interface StreamedOptions {
  tokenizer: Tokenizer;
  /** Strings that end the answer, and are not told. */
  stop: readonly string[];
  startsInside: boolean;
  /** Tell the text as it stands, without telling thoughts from answer. */
  rawText?: boolean;
  emit: (kind: ChatDelta['kind'], text: string) => void;
}

/**
 * One answer as its tokens arrive: whole characters alone, thoughts and answer apart, and nothing that may turn out to be
 * a stop string.
 */
export class StreamedChoice {
  readonly #options: StreamedOptions;
  readonly #splitter: ReasoningSplitter;
  readonly #longestStop: number;
  readonly #tokens: number[] = [];
  /** Tokens before the window that is decoded again, so that a tokenizer joins words as it does in the whole text. */
  #window = 0;
  /** Tokens whose text is in `#text`. */
  #read = 0;
  #text = '';
  #told = 0;

  constructor(options: StreamedOptions) {
    this.#options = options;
    this.#splitter = new ReasoningSplitter(options.emit, options.startsInside);
    this.#longestStop = Math.max(0, ...options.stop.map(({ length }) => length));
  }

  push(token: number): void {
    this.#tokens.push(token);
    const before = this.#decode(this.#window, this.#read);
    const now = this.#decode(this.#window, this.#tokens.length);
    if (now.length <= before.length || now.endsWith(INCOMPLETE)) return;
    this.#text += now.slice(before.length);
    this.#window = this.#read;
    this.#read = this.#tokens.length;
    this.#tell(this.#safe());
  }

  /**
   * The answer is complete.
   * @returns false when what was told is not how it begins: then it has to be told anew.
   */
  end(raw: string): boolean {
    if (!raw.startsWith(this.#text.slice(0, this.#told))) return false;
    this.#text = raw;
    this.#tell(raw.length);
    this.#splitter.end();
    return true;
  }

  #decode(from: number, to: number): string {
    return this.#options.tokenizer.decode(this.#tokens.slice(from, to), { skipSpecial: true });
  }

  /** Up to where the text is part of the answer, whatever comes. */
  #safe(): number {
    const { stop } = this.#options;
    const end = this.#text.slice(Math.max(this.#told, this.#text.length - 2 * this.#longestStop));
    const found = stop.map((string) => end.indexOf(string)).filter((at) => at >= 0);
    if (found.length > 0) return this.#text.length - end.length + Math.min(...found);
    return this.#text.length - Math.max(0, ...stop.map((string) => overlap(end, string)));
  }

  #tell(to: number): void {
    if (to <= this.#told) return;
    const piece = this.#text.slice(this.#told, to);
    if (this.#options.rawText) this.#options.emit('content', piece);
    else this.#splitter.push(piece);
    this.#told = to;
  }
}
