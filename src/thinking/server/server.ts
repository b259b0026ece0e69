import { createHash, timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { HoneError, messageOf } from '../../core/index.js';
import { type ChatDelta, ChatError, type ChatModel, type ChatOptions } from '../../engine/chat/index.js';
import type { Answers, Method } from '../types.js';
import { type Answered, type AnswerContext, passOn, streamed, streamThinking, thinkAnswers } from './answer.js';
import { BadRequest, readChat, readText, type RequestLimits, type ServerRequest } from './body.js';
import { chatReplyBody, EventStream, type ReplyHead, textReplyBody } from './reply.js';

export interface ServeOptions {
  model: ChatModel;
  /** Names under which the model can be asked; the first is what replies say. Default: the model's own. */
  names?: readonly string[];
  /** How to think. Without: requests are passed to the model as they are. */
  method?: Method;
  /** How a method reads and compares answers. */
  answers: Answers;
  /** Default 127.0.0.1: this machine alone. */
  host?: string;
  /** 0: any free one. Default 8080. */
  port?: number;
  /** Clients must send it as `Authorization: Bearer KEY`. Needed for any host but this machine. */
  apiKey?: string;
  /** Requests worked on at once; more are refused with 429 and Retry-After. Default 64. */
  maxRequests?: number;
  /** Largest request body in bytes. Default 4 MiB. */
  maxBody?: number;
  limits?: Partial<RequestLimits>;
  /** Seconds that a stop waits for answers under way. Default 30. */
  grace?: number;
  /** Seed of answers whose request names none: request i has seed i of its stream. */
  seed?: number;
  /** Told of every request that failed through no fault of its own. */
  onError?: (line: string) => void;
}

export interface RunningServer {
  /** Up to and including /v1. */
  url: string;
  /** Requests under way. */
  readonly active: number;
  /** Takes no more requests, waits for those under way, then breaks off what is left. */
  stop(): Promise<void>;
}

const LIMITS: RequestLimits = { n: 64, maxTokens: 32_768, messages: 1000 };
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/**
 * An OpenAI-compatible server over a ChatModel, with a method of thinking applied or without: POST /v1/chat/completions
 * (streaming too), POST /v1/completions, GET /v1/models, GET /health. Thoughts go out as `reasoning_content`.
 * @throws HoneError('usage') for a host beyond this machine without a key; HoneError('resource') when the port is taken.
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 8080, apiKey, grace = 30 } = options;
  if (!LOOPBACK.has(host) && apiKey === undefined)
    throw new HoneError('usage', `${host} can be reached by others, and there is no key`, {
      where: '--host',
      hint: 'Give a key with --serve-key (or HONE_SERVE_KEY), or leave --host at 127.0.0.1.',
    });
  const state = new ServerState(options);
  // bodyLimit bounds memory per request; the time limit is for sending the request, not for its answer.
  const app = fastify({
    bodyLimit: options.maxBody ?? 4 * 1024 * 1024,
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
  });
  defineRoutes(app, state);
  try {
    await app.listen({ host, port });
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    throw new HoneError('resource', taken ? `port ${port} is in use` : messageOf(error), {
      where: '--port',
      hint: 'Choose another --port; 0 takes any that is free.',
      cause: error,
    });
  }
  const address = app.server.address() as AddressInfo;
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}/v1`,
    get active() {
      return state.active;
    },
    stop: async () => {
      await state.settle(grace);
      await closed(app);
    },
  };
}

/** Closes once what was written has been read; a reader who does not read is left after five seconds. */
async function closed(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), 5000);
  await app.close();
  clearTimeout(timer);
}

/** Requests under way, and whether more are taken. */
class ServerState {
  readonly options: ServeOptions;
  readonly names: readonly string[];
  readonly limits: RequestLimits;
  readonly #underWay = new Set<AbortController>();
  #stopping = false;
  #count = 0;
  #settled: () => void = () => undefined;

  constructor(options: ServeOptions) {
    this.options = options;
    this.names = options.names ?? [options.model.name];
    this.limits = { ...LIMITS, ...options.limits };
  }

  get active(): number {
    return this.#underWay.size;
  }

  /** @throws Refused when the server stops or is full. */
  enter(): { context: AnswerContext; head: ReplyHead; controller: AbortController; leave: () => void } {
    const { maxRequests = 64, model, answers, method, seed = 0 } = this.options;
    if (this.#stopping) throw new Refused(503, 'the server is stopping');
    if (this.active >= maxRequests) throw new Refused(429, `${maxRequests} requests are under way already`, 1);
    const controller = new AbortController();
    this.#underWay.add(controller);
    const number = this.#count++;
    const context: AnswerContext = {
      ...{ model, answers, signal: controller.signal, seed: seed + number },
      method: method as Method,
    };
    const head = { id: `chatcmpl-${number}`, model: this.names[0] as string, created: Math.floor(Date.now() / 1000) };
    const leave = (): void => {
      this.#underWay.delete(controller);
      if (this.active === 0) this.#settled();
    };
    return { context, head, controller, leave };
  }

  /** Waits for what is under way, at most so many seconds, and breaks off the rest. */
  async settle(seconds: number): Promise<void> {
    this.#stopping = true;
    if (this.active === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => (this.#settled = resolve)),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, seconds * 1000))),
    ]);
    clearTimeout(timer);
    for (const controller of this.#underWay) controller.abort(new Error('the server stops'));
  }
}

class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

function defineRoutes(app: FastifyInstance, state: ServerState): void {
  const { apiKey, model } = state.options;
  app.addHook('onRequest', async (request) => {
    if (apiKey !== undefined && request.url !== '/health' && !hasKey(request, apiKey))
      throw new Refused(401, 'the key is missing or wrong');
  });
  app.setErrorHandler((error, _request, reply) => sendError(error, reply, state.options));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      new Refused(404, `nothing is served at ${request.method} ${request.url.slice(0, 100)}`),
      reply,
      state.options,
    ),
  );
  app.get('/health', () => ({ status: 'ok', active: state.active }));
  app.get('/v1/models', () => ({
    object: 'list',
    data: state.names.map((id) => ({ id, object: 'model', created: 0, owned_by: 'hone' })),
  }));
  app.post('/v1/chat/completions', async (request, reply) => {
    const asked = readChat(request.body, state.limits);
    checkModel(asked, state.names);
    return serveChat(asked, request, reply, state);
  });
  app.post('/v1/completions', async (request, reply) => {
    const asked = readText(request.body, state.limits);
    checkModel(asked, state.names);
    const complete = state.options.method ? undefined : model.completeText?.bind(model);
    if (!complete) throw new BadRequest(whyNoText(state.options), 'prompt');
    if (asked.stream) return streamText(asked, complete, request, reply, state);
    const { head, context, leave } = await entered(request, reply, state);
    try {
      const { messages: _, ...rest } = asked.request;
      const { choices, usage } = await complete(asked.prompt, { ...rest, n: asked.n }, { signal: context.signal });
      return textReplyBody(head, choices, usage);
    } finally {
      leave();
    }
  });
}

function whyNoText({ method, model }: ServeOptions): string {
  return method ? 'this server thinks: ask /v1/chat/completions' : `${model.name} completes no raw text`;
}

/** Raw text as it comes, tags and all. */
async function streamText(
  asked: ServerRequest & { prompt: string },
  complete: NonNullable<ChatModel['completeText']>,
  request: FastifyRequest,
  reply: FastifyReply,
  state: ServerState,
): Promise<unknown> {
  const { context, head, leave } = await entered(request, reply, state);
  const events = new EventStream(head, 'text_completion');
  const { messages: _, ...rest } = asked.request;
  const ask = (options: ChatOptions) => complete(asked.prompt, { ...rest, n: asked.n }, options);
  const send = ({ choice, text }: ChatDelta): void =>
    events.choice({ index: choice, text, finish_reason: null, logprobs: null });
  const work = streamed(ask, events, context.signal, send).then(({ choices, usage }) => ({
    usage,
    choices: choices.map(({ content, reasoning, finish }) => ({ content, reasoning, finish })),
  }));
  void finishStream(work, asked, events, context.signal, state.options).finally(leave);
  return sendEvents(reply, events);
}

function sendEvents(reply: FastifyReply, events: EventStream): FastifyReply {
  return reply
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-cache')
    .header('x-accel-buffering', 'no')
    .send(events.stream);
}

/** Compared by hash: neither length nor first difference shows in the time. */
function hasKey(request: FastifyRequest, key: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${key}`));
}

function checkModel({ model }: ServerRequest, names: readonly string[]): void {
  if (model !== undefined && !names.includes(model))
    throw new Refused(404, `the model ${model.slice(0, 100)} does not exist; there is: ${names.join(', ')}`);
}

/** Takes a place; a client that goes away frees it and ends the work. */
async function entered(request: FastifyRequest, reply: FastifyReply, state: ServerState) {
  const place = state.enter();
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) place.controller.abort(new Error('the client went away'));
  });
  return place;
}

async function serveChat(
  asked: ServerRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  state: ServerState,
): Promise<unknown> {
  const { method } = state.options;
  const { context, head, leave } = await entered(request, reply, state);
  if (!asked.stream) {
    try {
      const { choices, usage } = await (method ? thinkAnswers(asked, context) : passOn(asked, context));
      return chatReplyBody(head, choices, usage);
    } finally {
      leave();
    }
  }
  const events = new EventStream(head, 'chat.completion.chunk');
  for (let index = 0; index < asked.n; index++) events.delta(index, { role: 'assistant', content: '' });
  const work = method ? streamThinking(asked, context, events) : passOn(asked, context, events);
  void finishStream(work, asked, events, context.signal, state.options).finally(leave);
  return sendEvents(reply, events);
}

async function finishStream(
  work: Promise<Answered>,
  asked: ServerRequest,
  events: EventStream,
  signal: AbortSignal,
  options: ServeOptions,
): Promise<void> {
  try {
    const { choices, usage } = await work;
    for (const [index, { finish }] of choices.entries()) events.finish(index, finish);
    if (asked.streamUsage) events.usage(usage);
    events.end();
  } catch (error) {
    if (signal.aborted) return events.break();
    const { status, message } = described(error);
    if (status >= 500) options.onError?.(message);
    events.error(message);
    events.end();
  }
}

interface Described {
  status: number;
  message: string;
  type: string;
  param?: string;
  retryAfter?: number;
}

/** Status by whose fault it is. What went wrong inside is told to the operator, not to the client. */
function described(error: unknown): Described {
  if (error instanceof BadRequest)
    return {
      ...{ status: 400, type: 'invalid_request_error', param: error.param },
      message: error.message.includes(error.param) ? error.message : `${error.param}: ${error.message}`,
    };
  if (error instanceof Refused) {
    const type =
      error.status === 401 ? 'authentication_error' : error.status === 429 ? 'rate_limit_error' : 'not_found';
    return {
      status: error.status,
      message: error.message,
      type,
      ...(error.retryAfter ? { retryAfter: error.retryAfter } : {}),
    };
  }
  if (error instanceof ChatError) return ofUpstream(error);
  if (error instanceof HoneError && error.kind === 'usage')
    return { status: 400, message: error.message, type: 'invalid_request_error' };
  if (error instanceof HoneError && error.kind === 'interrupted')
    return { status: 503, message: 'the server is stopping', type: 'server_error' };
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status >= 400 && status < 500) return { status, message: messageOf(error), type: 'invalid_request_error' };
  return { status: 500, message: `internal error: ${messageOf(error)}`, type: 'server_error' };
}

function ofUpstream(error: ChatError): Described {
  if (error.fault === 'context')
    return { status: 400, message: error.message, type: 'invalid_request_error', param: 'messages' };
  if (error.fault === 'busy' || error.fault === 'budget')
    return { status: 429, message: error.message, type: 'rate_limit_error', retryAfter: error.retryAfter ?? 5 };
  return { status: 502, message: `the model behind this server: ${error.message}`, type: 'server_error' };
}

function sendError(error: unknown, reply: FastifyReply, options: ServeOptions): FastifyReply {
  const { status, message, type, param, retryAfter } = described(error);
  if (status >= 500) options.onError?.(message);
  if (retryAfter !== undefined) void reply.header('retry-after', String(Math.ceil(retryAfter)));
  return reply.code(status).send({ error: { message, type, param: param ?? null, code: null } });
}
