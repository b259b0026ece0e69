import PQueue from 'p-queue';
import { z } from 'zod';
import { HoneError, nearest, RandomStream } from '../../core/index.js';
import type { ChatMessage } from '../../model/index.js';
import { FewerAnswers, isEmpty, tellReply } from './assemble.js';
import { joinPartial, opensThoughts, unfinishedTurn } from './partial.js';
import { apart, joinReplies } from './several.js';
import { Budget, type BudgetLimits, type Spending } from './budget.js';
import { requestKey, type ReplyCache } from './cache.js';
import { ChatError, stopIfAborted } from './errors.js';
import { DEFAULT_RETRY, type RetryPolicy, withRetries } from './retry.js';
import { lostTokens, Transport } from './transport.js';
import type {
  ChatCapabilities,
  ChatDelta,
  ChatModel,
  ChatOptions,
  ChatReply,
  ChatRequest,
  ChatTurn,
  Json,
  TokenLogprob,
} from './types.js';
import { chatBody, type Route, textBody } from './wire.js';

/**
 * How a server goes on from an unfinished assistant turn. `vllm`: continue_final_message; `last-turn`: by itself when
 * the last message is the assistant's (llama.cpp, TGI); `completions`: the chat is rendered here (`renderChat`) and sent
 * to /v1/completions.
 */
export type ContinueMode = 'none' | 'vllm' | 'last-turn' | 'completions';

export interface EndpointOptions {
  /** Address of the server; `/v1` is added where the path is empty. */
  url: string;
  /** Name of the model at the server. */
  model: string;
  apiKey?: string;
  headers?: Readonly<Record<string, string>>;
  /** Requests under way at once. Default 16. */
  concurrency?: number;
  /** Longest silence of the server, in seconds. Default 300. */
  timeout?: number;
  retry?: Partial<RetryPolicy>;
  budget?: BudgetLimits;
  /** Replies on disk; closed with the model. */
  cache?: ReplyCache;
  /** Ask for answers in pieces. Default true. */
  stream?: boolean;
  /** Ask for token counts in streams. Default true; some servers refuse it. */
  streamUsage?: boolean;
  /** Members added to every request body. */
  extra?: { readonly [key: string]: Json };
  continueMode?: ContinueMode;
  /** The model's chat template, with the generation prompt: for `completions` and `scoreTokens`. */
  renderChat?: (messages: readonly ChatMessage[]) => string;
  /** The server's template opens the thoughts itself (R1-like models). Default false: read off the text. */
  startsThinking?: boolean;
  /** What the server is known to do besides; logprobs, seeds and tools count as there unless denied. */
  capabilities?: Partial<Pick<ChatCapabilities, 'logprobs' | 'seeds' | 'tools' | 'embed' | 'completeText'>>;
  /** Seed of the jitter between attempts. */
  seed?: number;
}

interface Job {
  route: Route;
  body: Record<string, Json>;
  request: Omit<ChatRequest, 'messages'>;
  startsInside: boolean;
  rawText?: boolean;
}

interface Asked {
  reply: ChatReply;
  /** 0: from the cache. */
  attempts: number;
}

/** Any OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp, Ollama, hosted) as a ChatModel. */
export class EndpointChatModel implements ChatModel {
  readonly name: string;
  readonly capabilities: ChatCapabilities;
  readonly identity: { readonly [key: string]: Json };
  readonly #options: EndpointOptions;
  readonly #transport: Transport;
  readonly #queue: PQueue;
  readonly #budget: Budget;
  readonly #policy: RetryPolicy;
  readonly #underWay = new Map<string, Promise<Asked>>();
  readonly #baseUrl: string;
  /** The server gave fewer answers than were asked for: from then on each is a request of its own. */
  #oneEach = false;

  /** @throws HoneError('usage') when the address is none or the continue mode lacks its template. */
  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#baseUrl = baseUrl(options.url);
    this.name = options.model;
    this.capabilities = capabilitiesOf(options);
    this.identity = {
      endpoint: this.#baseUrl,
      model: options.model,
      ...(options.extra ? { extra: options.extra } : {}),
    };
    this.#policy = { ...DEFAULT_RETRY, ...options.retry };
    this.#budget = new Budget(options.budget);
    this.#queue = new PQueue({ concurrency: options.concurrency ?? 16 });
    this.#transport = new Transport({
      baseUrl: this.#baseUrl,
      apiKey: options.apiKey,
      ...(options.headers ? { headers: options.headers } : {}),
      timeout: options.timeout ?? 300,
      stream: options.stream ?? true,
      streamUsage: options.streamUsage ?? true,
    });
  }

  /** What the requests so far have cost. */
  get spending(): Spending {
    return this.#budget.spent;
  }

  async complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatReply> {
    const several = (request.n ?? 1) > 1;
    if (several && this.#oneEach) return this.#apart(request, options);
    try {
      return await this.#run(this.#jobOf(request), options);
    } catch (error) {
      if (!(error instanceof FewerAnswers)) throw error;
      this.#oneEach = true;
      options.onRestart?.();
      return this.#apart(request, options);
    }
  }

  /** n requests for one answer each, each with a seed of its own. */
  async #apart(request: ChatRequest, options: ChatOptions): Promise<ChatReply> {
    const asked = apart(request).map((one, choice) => {
      const { onDelta } = options;
      const told = onDelta && { onDelta: (delta: ChatDelta) => onDelta({ ...delta, choice }) };
      return this.#run(this.#jobOf(one), { ...options, ...told });
    });
    return joinReplies(await Promise.all(asked));
  }

  async completeText(
    prompt: string,
    request: Omit<ChatRequest, 'messages'>,
    options: ChatOptions = {},
  ): Promise<ChatReply> {
    const body = { ...textBody(prompt, request, this.name), ...this.#options.extra };
    return this.#run({ route: 'text', body, request, startsInside: opensThoughts(prompt), rawText: true }, options);
  }

  /** Needs `renderChat` and a server whose /v1/completions echoes the prompt with its logprobs. */
  async scoreTokens(
    messages: readonly ChatTurn[],
    answer: string,
    options: ChatOptions = {},
  ): Promise<readonly TokenLogprob[]> {
    const prompt = this.#render(messages);
    const body: Record<string, Json> = {
      ...textBody(prompt + answer, { maxTokens: 1, temperature: 0 }, this.name),
      echo: true,
      logprobs: 0,
      ...this.#options.extra,
    };
    const data = await this.#guarded(requestKey({ score: body }), options, () =>
      this.#transport.json('/completions', body, options.signal),
    );
    return answerLogprobs(data, prompt.length, answer.length, this.#baseUrl);
  }

  async embed(texts: readonly string[], options: ChatOptions = {}): Promise<readonly (readonly number[])[]> {
    const body: Record<string, Json> = { model: this.name, input: texts, encoding_format: 'float' };
    const data = await this.#guarded(requestKey({ embed: body }), options, () =>
      this.#transport.json('/embeddings', body, options.signal),
    );
    return embeddings.parse(data).data.map(({ embedding }) => embedding);
  }

  /**
   * Asks the server for its models before work starts, once and without retries.
   * @returns the models it lists; undefined where it keeps no list.
   * @throws ChatError for a wrong address or key, and when the list lacks the model.
   */
  async check(signal?: AbortSignal): Promise<readonly string[] | undefined> {
    const listed = await this.#listModels(signal);
    if (listed === undefined || listed.length === 0 || listed.includes(this.name)) return listed;
    throw new ChatError('no-model', `the server does not have the model ${this.name}`, {
      where: this.#baseUrl,
      hint: `Did you mean ${nearest(this.name, listed)}? It has: ${listed.slice(0, 8).join(', ')}.`,
    });
  }

  async close(): Promise<void> {
    await this.#options.cache?.close();
  }

  async #listModels(signal: AbortSignal | undefined): Promise<string[] | undefined> {
    try {
      return modelList.parse(await this.#transport.json('/models', undefined, signal)).data.map(({ id }) => id);
    } catch (error) {
      // A server may do without a list; whether the address is right then shows with the first request.
      if (error instanceof ChatError && (error.fault === 'no-route' || error.fault === 'no-model')) return undefined;
      if (error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  #jobOf(request: ChatRequest): Job {
    const inside = this.#options.startsThinking ?? false;
    if (!request.continueAssistant)
      return { route: 'chat', body: this.#chatBody(request), request, startsInside: inside };
    const partial = unfinishedTurn(request.messages);
    const startsInside = opensThoughts(partial);
    const mode = this.#options.continueMode ?? 'none';
    if (mode === 'completions') {
      const prompt = joinPartial(this.#render(request.messages.slice(0, -1)), partial);
      return {
        route: 'text',
        body: { ...textBody(prompt, request, this.name), ...this.#options.extra },
        request,
        startsInside,
      };
    }
    if (mode === 'none') throw cannotContinue(this.name);
    const flags: Record<string, Json> =
      mode === 'vllm' ? { continue_final_message: true, add_generation_prompt: false } : {};
    return { route: 'chat', body: { ...this.#chatBody(request), ...flags }, request, startsInside };
  }

  #chatBody(request: ChatRequest): Record<string, Json> {
    return { ...chatBody(request, this.name), ...this.#options.extra };
  }

  #render(messages: readonly ChatTurn[]): string {
    if (this.#options.renderChat) return this.#options.renderChat(messages);
    throw new HoneError('usage', `no chat template is known for ${this.name}`, {
      where: 'renderChat',
      hint: 'Name a folder with the tokenizer and template of the model (--template DIR).',
    });
  }

  /** Whoever asks the same at this moment, then the cache, then the server. Without a cache each request is a draw of its own. */
  async #run(job: Job, options: ChatOptions): Promise<ChatReply> {
    const started = performance.now();
    const key = requestKey({ url: this.#baseUrl, route: job.route, body: job.body, draw: job.request.draw ?? 0 });
    const shared = this.#underWay.get(key);
    const asked = shared ?? this.#ask(key, job, options);
    if (shared === undefined && this.#options.cache) this.#underWay.set(key, asked);
    try {
      const { reply, attempts } = await asked;
      if (shared !== undefined || attempts === 0) tellReply(reply, options.onDelta, job.rawText);
      options.onTiming?.({ seconds: (performance.now() - started) / 1000, attempts: shared ? 0 : attempts });
      return reply;
    } catch (error) {
      // Whoever asked first has left; this caller has not.
      if (shared !== undefined && isInterruption(error) && !options.signal?.aborted) return this.#run(job, options);
      throw error;
    } finally {
      if (shared === undefined) this.#underWay.delete(key);
    }
  }

  async #ask(key: string, job: Job, options: ChatOptions): Promise<Asked> {
    const kept = await this.#options.cache?.get(key);
    if (kept !== undefined) return { reply: kept, attempts: 0 };
    let [attempts, empties] = [0, 0];
    const reply = await this.#guarded(key, options, async (attempt) => {
      attempts = attempt + 1;
      if (attempt > 0) options.onRestart?.();
      const found = await this.#attempt(job, options);
      // Other faults before it say nothing about an empty answer.
      if (found.choices.some(isEmpty) && empties++ < this.#policy.emptyRetries)
        throw new ChatError('empty', 'the reply holds an empty answer', { where: this.#transport.url('') });
      // Before the next request takes the slot: a kill costs no more replies than there are slots.
      await this.#options.cache?.put(key, found);
      return found;
    });
    return { reply, attempts };
  }

  /** In a slot of the queue, with retries. */
  async #guarded<T>(key: string, options: ChatOptions, work: (attempt: number) => Promise<T>): Promise<T> {
    const { signal } = options;
    stopIfAborted(signal);
    return this.#queue.add(() =>
      withRetries(
        async (attempt) => {
          this.#budget.admit(attempt);
          return work(attempt);
        },
        { policy: this.#policy, random: new RandomStream(this.#options.seed ?? 0, 'retry', key), signal },
      ),
    );
  }

  async #attempt(
    { route, body, request, startsInside, rawText = false }: Job,
    options: ChatOptions,
  ): Promise<ChatReply> {
    const promptCharacters = JSON.stringify(body['messages'] ?? body['prompt'] ?? '').length;
    try {
      const reply = await this.#transport.send({
        ...{ route, body, startsInside, rawText, promptCharacters, n: request.n ?? 1, model: this.name },
        ...{ signal: options.signal, onDelta: options.onDelta, pace: options.pace },
      });
      this.#budget.charge(reply.usage);
      return reply;
    } catch (error) {
      if (error instanceof ChatError) this.#countLoss(error, promptCharacters);
      throw error;
    }
  }

  #countLoss(error: ChatError, promptCharacters: number): void {
    const lost = lostTokens(error);
    if (lost > 0 || error.fault === 'cut') this.#budget.lose(Math.ceil(promptCharacters / 4), lost);
  }
}

const modelList = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })) });
const embeddings = z.looseObject({ data: z.array(z.looseObject({ embedding: z.array(z.number()) })) });
const scored = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        logprobs: z.looseObject({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number().nullable()),
          text_offset: z.array(z.number()),
        }),
      }),
    )
    .min(1),
});

/** Tokens of the echo that begin inside the answer. */
function answerLogprobs(data: unknown, start: number, length: number, where: string): TokenLogprob[] {
  const parsed = scored.safeParse(data);
  if (!parsed.success)
    throw new ChatError('refused', 'the endpoint echoes no logprobs of the prompt', {
      where,
      hint: 'Use a local model for scores.',
      cause: parsed.error,
    });
  const { tokens, token_logprobs, text_offset } = parsed.data.choices[0]!.logprobs;
  return tokens.flatMap((token, i) => {
    const [at, logprob] = [text_offset[i] ?? -1, token_logprobs[i]];
    return at >= start && at < start + length && typeof logprob === 'number' ? [{ token, logprob }] : [];
  });
}

function capabilitiesOf(options: EndpointOptions): ChatCapabilities {
  const { continueMode = 'none', renderChat, capabilities = {} } = options;
  const text = capabilities.completeText ?? true;
  return {
    continueAssistant: continueMode !== 'none',
    scoreTokens: renderChat !== undefined && text && (capabilities.logprobs ?? true),
    embed: capabilities.embed ?? false,
    logprobs: capabilities.logprobs ?? true,
    seeds: capabilities.seeds ?? true,
    tools: capabilities.tools ?? true,
    completeText: text,
  };
}

/** `http://host:8000` -> `http://host:8000/v1`. @throws HoneError('usage') for what is no http address. */
function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new HoneError('usage', `"${text}" is no http address`, {
      where: '--endpoint',
      hint: 'Give one like http://localhost:8000/v1.',
    });
  if (url.pathname === '/') url.pathname = '/v1';
  return url.href.replace(/\/+$/, '');
}

function isInterruption(error: unknown): boolean {
  return error instanceof HoneError && error.kind === 'interrupted';
}

function cannotContinue(name: string): HoneError {
  return new HoneError('usage', `it is not known how ${name} goes on from an unfinished turn`, {
    where: 'continueMode',
    hint: 'Say --continue vllm, last-turn, or completions with --template.',
  });
}
