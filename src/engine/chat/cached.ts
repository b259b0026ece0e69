import { tellReply } from './assemble.js';
import { requestKey, type ReplyCache } from './cache.js';
import type { ChatModel, ChatOptions, ChatReply, ChatRequest, Json } from './types.js';

export interface CachedOptions {
  model: ChatModel;
  /** Closed with the model. */
  cache: ReplyCache;
  /** What tells this model from every other: its weights and its template. Replies are kept under it. */
  key: { readonly [key: string]: Json };
}

type Ask = (options: ChatOptions) => Promise<ChatReply>;

/**
 * A model whose replies are kept on disk: one is durable before it is used, and never made again. An EndpointChatModel
 * has this of its own.
 */
export class CachedChatModel implements ChatModel {
  readonly name: string;
  readonly capabilities: ChatModel['capabilities'];
  readonly identity: ChatModel['identity'];
  readonly completeText?: NonNullable<ChatModel['completeText']>;
  readonly scoreTokens?: NonNullable<ChatModel['scoreTokens']>;
  readonly embed?: NonNullable<ChatModel['embed']>;
  readonly #options: CachedOptions;

  constructor(options: CachedOptions) {
    const { model } = options;
    this.#options = options;
    this.name = model.name;
    this.capabilities = model.capabilities;
    this.identity = model.identity;
    const text = model.completeText?.bind(model);
    if (text)
      this.completeText = (prompt, request, told = {}) =>
        this.#kept(asJson({ prompt, request: seedless(request) }), told, (inner) => text(prompt, request, inner), true);
    if (model.scoreTokens) this.scoreTokens = model.scoreTokens.bind(model);
    if (model.embed) this.embed = model.embed.bind(model);
  }

  complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatReply> {
    return this.#kept(asJson({ request: seedless(request) }), options, (inner) =>
      this.#options.model.complete(request, inner),
    );
  }

  async #kept(
    asked: { readonly [key: string]: Json },
    options: ChatOptions,
    ask: Ask,
    rawText = false,
  ): Promise<ChatReply> {
    const { cache, key } = this.#options;
    const started = performance.now();
    const own = requestKey({ model: key, ...asked });
    const known = await cache.get(own);
    if (known === undefined) {
      const reply = await ask(options);
      await cache.put(own, reply);
      return reply;
    }
    tellReply(known, options.onDelta, rawText);
    options.onTiming?.({ seconds: (performance.now() - started) / 1000, attempts: 0 });
    return known;
  }

  async close(): Promise<void> {
    await this.#options.model.close();
    await this.#options.cache.close();
  }
}

/** Greedy decoding draws nothing: the seed is no part of what was asked. */
function seedless<R extends Pick<ChatRequest, 'temperature' | 'seed'>>(request: R): R {
  return request.temperature === 0 ? { ...request, seed: undefined } : request;
}

/** A request as its JSON text would be read: without members that are undefined. */
function asJson(value: object): { readonly [key: string]: Json } {
  return JSON.parse(JSON.stringify(value)) as { readonly [key: string]: Json };
}
