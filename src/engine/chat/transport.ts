import OpenAI from 'openai';
import { Assembler, type AssembleOptions } from './assemble.js';
import { type ChatError, interrupted, stopIfAborted } from './errors.js';
import { faultOf } from './faults.js';
import { nodeFetch } from './node-fetch.js';
import type { ChatReply, Json } from './types.js';
import { readPieces, type Route } from './wire.js';

export interface TransportOptions {
  /** Up to and including /v1. */
  baseUrl: string;
  apiKey: string | undefined;
  headers?: Readonly<Record<string, string>>;
  /** Longest silence of the server, in seconds: before the first piece and between pieces. */
  timeout: number;
  /** Ask for the answer in pieces: long answers then cannot be mistaken for silence, and a cut shows. */
  stream: boolean;
  /** Ask for token counts in the stream (`stream_options`). */
  streamUsage: boolean;
}

const ROUTES: Readonly<Record<Route, string>> = { chat: '/chat/completions', text: '/completions' };

export interface Attempt extends AssembleOptions {
  route: Route;
  body: Record<string, Json>;
  signal?: AbortSignal | undefined;
  pace?: (() => Promise<void> | undefined) | undefined;
  /** Label of the reply where the server names no model. */
  model: string;
}

/** One attempt of one request over the official client, whose own retries are off. */
export class Transport {
  readonly #client: OpenAI;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#client = new OpenAI({
      baseURL: options.baseUrl,
      // Servers without keys accept any; the client insists on one.
      apiKey: options.apiKey ?? 'none',
      organization: null,
      project: null,
      maxRetries: 0,
      fetch: nodeFetch(),
      // Our own watch over silence covers headers and body alike.
      timeout: 2 ** 31 - 1,
      logLevel: 'off',
      defaultHeaders: { ...options.headers },
    });
  }

  url(path: string): string {
    return this.#options.baseUrl.replace(/\/$/, '') + path;
  }

  /** @throws ChatError for whatever kept the reply from coming whole; HoneError interrupted on the signal. */
  async send(attempt: Attempt): Promise<ChatReply> {
    const assembler = new Assembler(attempt);
    const url = this.url(ROUTES[attempt.route]);
    return this.#watched(url, attempt.signal, async (signal, alive) => {
      try {
        if (this.#options.stream) await this.#stream(attempt, assembler, signal, alive);
        else await this.#whole(attempt, assembler, signal);
      } catch (error) {
        throw withLoss(error, assembler.arrivedTokens);
      }
      return assembler.finish(attempt.model);
    });
  }

  /** A plain GET or POST, for model lists and embeddings. */
  async json(path: string, body: Record<string, Json> | undefined, signal?: AbortSignal): Promise<unknown> {
    return this.#watched(this.url(path), signal, (watched) =>
      body === undefined
        ? this.#client.get<unknown>(path, { signal: watched })
        : this.#client.post<unknown>(path, { body, signal: watched }),
    );
  }

  async #stream(attempt: Attempt, assembler: Assembler, signal: AbortSignal, alive: () => void): Promise<void> {
    const usage = this.#options.streamUsage ? { stream_options: { include_usage: true } } : {};
    const body = { ...attempt.body, stream: true, ...usage };
    const stream = (await this.#client.post(ROUTES[attempt.route], {
      body,
      signal,
      stream: true,
    })) as AsyncIterable<unknown>;
    for await (const chunk of stream) {
      alive();
      assembler.add(readPieces(attempt.route, true, chunk));
      await attempt.pace?.();
    }
    // The client ends the loop quietly when it is aborted.
    signal.throwIfAborted();
  }

  async #whole(attempt: Attempt, assembler: Assembler, signal: AbortSignal): Promise<void> {
    const data = await this.#client.post<unknown>(ROUTES[attempt.route], { body: attempt.body, signal });
    assembler.add(readPieces(attempt.route, false, data));
  }

  /** Runs `work` with a signal that also fires after `timeout` seconds without a call of `alive`. */
  async #watched<T>(
    url: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal, alive: () => void) => PromiseLike<T>,
  ): Promise<T> {
    stopIfAborted(signal);
    const controller = new AbortController();
    let idle = false;
    const timer = setTimeout(() => {
      idle = true;
      controller.abort(new Error('silent for too long'));
    }, this.#options.timeout * 1000);
    const stop = (): void => controller.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await work(controller.signal, () => void timer.refresh());
    } catch (error) {
      if (signal?.aborted) throw interrupted(signal);
      throw faultOf(error, { url, idle, now: Date.now() });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}

/** Marks an error with the tokens that had arrived when it happened. */
function withLoss(error: unknown, tokens: number): unknown {
  if (tokens > 0 && typeof error === 'object' && error !== null) LOSSES.set(error, tokens);
  return error;
}

const LOSSES = new WeakMap<object, number>();

/** Generated tokens that had arrived before a request failed. */
export function lostTokens(error: ChatError): number {
  const cause: unknown = error.cause;
  const told = typeof cause === 'object' && cause !== null ? LOSSES.get(cause) : undefined;
  return Math.max(error.lostTokens, told ?? LOSSES.get(error) ?? 0);
}
