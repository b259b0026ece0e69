import { ChatError } from './errors.js';
import { joinReasoning, joinSplit, ReasoningSplitter, splitReasoning } from './reasoning.js';
import type { ChatChoice, ChatDelta, ChatReply, Finish, TokenLogprob, ToolCall } from './types.js';
import type { Piece, Pieces, ToolCallPiece } from './wire.js';

export interface AssembleOptions {
  /** Answers asked for. */
  n: number;
  /** The prompt has opened the thoughts. */
  startsInside: boolean;
  /** Tell the text as it stands, without telling thoughts from answer. */
  rawText?: boolean;
  /** Characters of the prompt, for servers that count no tokens. */
  promptCharacters: number;
  onDelta?: ((delta: ChatDelta) => void) | undefined;
}

const CHARACTERS_PER_TOKEN = 4;

const FINISHES: Readonly<Record<string, Finish>> = {
  stop: 'stop',
  eos: 'stop',
  end_turn: 'stop',
  length: 'length',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  abort: 'aborted',
};

/** A server that draws one answer, however many are asked for. */
export class FewerAnswers extends ChatError {
  constructor(where: string, given: number, asked: number, lostTokens: number) {
    super('refused', `the server gave ${given} of ${asked} answers`, { where, lostTokens });
  }
}

/** Collects the pieces of a reply, whether they come as one or as thousands. */
export class Assembler {
  readonly #options: AssembleOptions;
  readonly #choices = new Map<number, PartialChoice>();
  #model: string | undefined;
  #usage: Pieces['usage'];

  constructor(options: AssembleOptions) {
    this.#options = options;
  }

  add({ pieces, model, usage }: Pieces): void {
    this.#model ??= model;
    this.#usage = usage ?? this.#usage;
    for (const piece of pieces) this.#choice(piece.index).add(piece);
  }

  /** Tokens that have arrived so far; a lower bound where a server puts several into one chunk. */
  get arrivedTokens(): number {
    return [...this.#choices.values()].reduce((sum, choice) => sum + choice.chunks, 0);
  }

  get #paidTokens(): number {
    return this.#usage?.completionTokens ?? this.arrivedTokens;
  }

  /** Every answer that was asked for has ended. */
  get complete(): boolean {
    const choices = [...this.#choices.values()];
    return choices.length >= this.#options.n && choices.every(({ finish }) => finish !== undefined);
  }

  /** All that began have ended, and there are fewer than were asked for. */
  get #few(): boolean {
    const choices = [...this.#choices.values()];
    return choices.length < this.#options.n && choices.every(({ finish }) => finish !== undefined);
  }

  /**
   * The whole reply.
   * @throws ChatError `cut` when an answer has not ended, `empty` when answers are missing or all hold nothing.
   */
  finish(name: string): ChatReply {
    if (this.#choices.size === 0) throw new ChatError('empty', 'the reply holds no answer', { where: name });
    if (this.#few) throw new FewerAnswers(name, this.#choices.size, this.#options.n, this.#paidTokens);
    if (!this.complete)
      throw new ChatError('cut', 'the reply broke off before its end', {
        where: name,
        lostTokens: this.arrivedTokens,
      });
    const completionTokens = this.#usage?.completionTokens;
    const built = [...this.#choices.entries()].sort(([a], [b]) => a - b).map(([, choice]) => choice.build());
    const only = built.length === 1 ? completionTokens : undefined;
    const choices = built.map((choice) => ({
      ...choice,
      tokens: choice.tokens ?? only ?? estimateAlone(choice, built),
    }));
    return { choices, usage: this.#usageOf(choices), model: this.#model ?? name };
  }

  #choice(index: number): PartialChoice {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = new PartialChoice(index, this.#options);
      this.#choices.set(index, choice);
    }
    return choice;
  }

  #usageOf(choices: readonly ChatChoice[]): ChatReply['usage'] {
    if (this.#usage !== undefined) return { ...this.#usage, estimated: false };
    const characters = choices.reduce((sum, { raw }) => sum + raw.length, 0);
    return {
      promptTokens: Math.ceil(this.#options.promptCharacters / CHARACTERS_PER_TOKEN),
      completionTokens: Math.ceil(characters / CHARACTERS_PER_TOKEN),
      estimated: true,
    };
  }
}

/** One answer of a server that counts nothing; several share a count that is not known apart. */
function estimateAlone({ raw }: ChatChoice, all: readonly ChatChoice[]): number | undefined {
  return all.length === 1 ? Math.ceil(raw.length / CHARACTERS_PER_TOKEN) : undefined;
}

class PartialChoice {
  readonly #startsInside: boolean;
  readonly #index: number;
  readonly #tell: ((delta: ChatDelta) => void) | undefined;
  readonly #splitter: ReasoningSplitter;
  readonly #rawText: boolean;
  readonly #calls = new Map<number, ToolCall>();
  readonly #logprobs: TokenLogprob[] = [];
  #content = '';
  #reasoning = '';
  finish: string | undefined;
  chunks = 0;

  constructor(index: number, { startsInside, rawText = false, onDelta }: AssembleOptions) {
    this.#index = index;
    this.#rawText = rawText;
    this.#startsInside = startsInside;
    this.#tell = onDelta;
    this.#splitter = new ReasoningSplitter((kind, text) => onDelta?.({ choice: index, kind, text }), startsInside);
  }

  add(piece: Piece): void {
    if (piece.content !== '' || piece.reasoning !== '' || piece.toolCalls.length > 0) this.chunks++;
    this.#reasoning += piece.reasoning;
    this.#content += piece.content;
    this.#logprobs.push(...piece.logprobs);
    for (const call of piece.toolCalls) this.#addCall(call);
    this.finish = piece.finish ?? this.finish;
    if (this.#tell === undefined) return;
    if (piece.reasoning !== '') this.#tell({ choice: this.#index, kind: 'reasoning', text: piece.reasoning });
    this.#tellContent(piece);
  }

  /** A server that sends thoughts apart sends nothing but the answer as content. */
  #tellContent({ content, finish }: Piece): void {
    if (this.#rawText || this.#reasoning !== '') {
      if (content !== '') this.#tell?.({ choice: this.#index, kind: 'content', text: content });
      return;
    }
    if (content !== '') this.#splitter.push(content);
    if (finish !== undefined) this.#splitter.end();
  }

  #addCall({ index, id, name, arguments: more }: ToolCallPiece): void {
    const known = this.#calls.get(index) ?? { id: '', name: '', arguments: '' };
    this.#calls.set(index, {
      id: id ?? known.id,
      name: name ?? known.name,
      arguments: known.arguments + more,
    });
  }

  build(): ChatChoice {
    const finish = FINISHES[this.finish ?? 'stop'] ?? 'stop';
    const apart = this.#reasoning !== '';
    const split = apart
      ? joinSplit(this.#reasoning, this.#content, finish)
      : splitReasoning(this.#content, this.#startsInside);
    return {
      ...split,
      raw: apart ? joinReasoning(this.#reasoning, split.content) : this.#content,
      finish,
      tokens: this.#logprobs.length > 0 ? this.#logprobs.length : undefined,
      ...(this.#logprobs.length > 0 ? { logprobs: this.#logprobs } : {}),
      ...(this.#calls.size > 0 ? { toolCalls: [...this.#calls.values()] } : {}),
    };
  }
}

/** An answer with nothing in it at all, which is more often a fault of the server than what the model meant. */
export function isEmpty({ raw, toolCalls, finish }: ChatChoice): boolean {
  return raw === '' && toolCalls === undefined && finish === 'stop';
}

/** Tells a whole reply as deltas, for those that come from a cache or a server that does not stream. */
export function tellReply(reply: ChatReply, onDelta: ((delta: ChatDelta) => void) | undefined, rawText = false): void {
  if (onDelta === undefined) return;
  for (const [choice, { reasoning, content, raw }] of reply.choices.entries()) {
    if (rawText) {
      if (raw !== '') onDelta({ choice, kind: 'content', text: raw });
      continue;
    }
    if (reasoning) onDelta({ choice, kind: 'reasoning', text: reasoning });
    if (content) onDelta({ choice, kind: 'content', text: content });
  }
}
