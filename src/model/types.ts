/** One message of a chat. */
export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

/** Contents on their way through a template, and the encoding of what the template makes of them. */
export interface ShieldedContents {
  /** The contents, to be rendered in place of the ones given. */
  readonly contents: readonly string[];
  /** Tokens of a text that was rendered from them: control tokens come from the template's own markup alone. */
  encode(text: string): Int32Array;
}

/** Text to tokens and back. Pure: encode and decode depend on nothing but their arguments and the vocabulary. */
export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  /** Ids that end a reply (eos_token and generation_config's list). */
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  /** Encodes text that is trusted with markup: special-token strings in it become their ids. `addSpecial` adds BOS/EOS as the tokenizer's post-processor does (default false). */
  encode(text: string, options?: { addSpecial?: boolean }): Int32Array;
  /**
   * Makes contents safe to put into a template: special-token strings in them stay plain text, as under transformers'
   * `split_special_tokens`. Contents without such strings come back as they are.
   */
  shield(contents: readonly string[]): ShieldedContents;
  /** @param skipSpecial leave special tokens out of the text (default true). */
  decode(tokens: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
  /** The bytes one token stands for in running text (empty for special tokens); lets an engine look for stop strings. */
  tokenBytes(id: number): Uint8Array;
}

/** Renders chats; absent when the model has no template. */
export interface ChatTemplate {
  readonly source: string;
  render(
    messages: readonly ChatMessage[],
    options?: { addGenerationPrompt?: boolean; variables?: Record<string, unknown> },
  ): string;
}

/** Everything about a model folder that is not weights. */
export interface ModelFolder {
  readonly path: string;
  readonly config: Record<string, unknown>;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | undefined;
}
