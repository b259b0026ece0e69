/**
 * An OpenAI-compatible server for tests, written apart from src/: the wire format as the API documents it, and every
 * way in which a server fails.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WireRequest {
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
  /** Counted from 0 over all requests. */
  number: number;
}

export interface WireChoice {
  content?: string | null;
  reasoning?: string;
  finish?: string;
  /** Tokens of `content` and their logprobs. */
  logprobs?: { token: string; logprob: number }[];
  toolCalls?: { id: string; name: string; arguments: string }[];
}

export interface WireReply {
  choices: WireChoice[];
  /** Prompt tokens, completion tokens; null: the server counts nothing. */
  usage?: [number, number] | null;
  model?: string;
}

export type Fault =
  | { kind: 'status'; status: number; body?: unknown; retryAfter?: string }
  | { kind: 'hang' }
  | { kind: 'cut'; after: number }
  | { kind: 'malformed' }
  | { kind: 'empty' }
  | { kind: 'no-choices' };

export interface ServerOptions {
  answer: (request: WireRequest) => WireReply | Promise<WireReply>;
  fault?: (request: WireRequest) => Fault | undefined;
  apiKey?: string;
  models?: string[];
  /** Characters of one streamed piece. */
  pieceLength?: number;
  /** Further routes: path to handler. */
  routes?: Record<string, (request: WireRequest) => unknown>;
}

export interface TestServer {
  url: string;
  requests: WireRequest[];
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function json(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

const failure = (message: string, code?: string) => ({ error: { message, type: 'error', code: code ?? null } });

export async function startServer(options: ServerOptions): Promise<TestServer> {
  const requests: WireRequest[] = [];
  const server: Server = createServer((request, response) => {
    void handle(request, response).catch(() => response.destroy());
  });
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const seen = { path, headers: request.headers, body: await bodyOf(request), number: requests.length };
    if (options.apiKey !== undefined && request.headers.authorization !== `Bearer ${options.apiKey}`)
      return json(response, 401, failure('Incorrect API key provided'));
    if (path === '/v1/models')
      return json(response, 200, { object: 'list', data: (options.models ?? ['test']).map((id) => ({ id })) });
    const route = options.routes?.[path];
    if (route) return json(response, 200, route(seen));
    if (path !== '/v1/chat/completions' && path !== '/v1/completions')
      return json(response, 404, failure(`no route ${path}`));
    requests.push(seen);
    if (options.models && !options.models.includes(String(seen.body['model'])))
      return json(response, 404, failure(`The model ${String(seen.body['model'])} does not exist`, 'model_not_found'));
    await respond(seen, response, options);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(request: WireRequest, response: ServerResponse, options: ServerOptions): Promise<void> {
  const fault = options.fault?.(request);
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'status') {
    const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
    return json(response, fault.status, fault.body ?? failure('injected'), headers);
  }
  const chat = request.path.endsWith('/chat/completions');
  const reply = faulty(await options.answer(request), fault);
  if (request.body['stream'] !== true) return whole(response, reply, chat, fault);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunks = chunksOf(reply, chat, options.pieceLength ?? 7, request.body['stream_options'] !== undefined);
  for (const [i, chunk] of chunks.entries()) {
    if (fault?.kind === 'cut' && i === fault.after) return void response.destroy();
    if (fault?.kind === 'malformed' && i === 1) response.write('data: {"choices": [{"delta": \n\n');
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    // Several pieces reach the client as several reads.
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.end('data: [DONE]\n\n');
}

function faulty(reply: WireReply, fault: Fault | undefined): WireReply {
  if (fault?.kind === 'no-choices') return { ...reply, choices: [] };
  if (fault?.kind === 'empty') return { ...reply, choices: reply.choices.map(() => ({ content: '', finish: 'stop' })) };
  return reply;
}

function whole(response: ServerResponse, reply: WireReply, chat: boolean, fault: Fault | undefined): void {
  if (fault?.kind === 'cut') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '10000' });
    response.write('{"choices":');
    setImmediate(() => response.destroy());
    return;
  }
  if (fault?.kind === 'malformed') {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": [');
    return;
  }
  json(response, 200, {
    id: 'x',
    model: reply.model ?? 'test',
    choices: reply.choices.map((choice, index) => ({ index, ...wholeChoice(choice, chat) })),
    ...usageOf(reply),
  });
}

function usageOf({ usage }: WireReply): object {
  if (usage === null) return {};
  const [prompt_tokens, completion_tokens] = usage ?? [10, 5];
  return { usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens } };
}

function wholeChoice(choice: WireChoice, chat: boolean): object {
  const finish_reason = choice.finish ?? 'stop';
  if (!chat) return { text: choice.content ?? '', finish_reason, logprobs: textLogprobs(choice) };
  const message = {
    role: 'assistant',
    content: choice.content ?? null,
    ...(choice.reasoning === undefined ? {} : { reasoning_content: choice.reasoning }),
    ...(choice.toolCalls ? { tool_calls: choice.toolCalls.map(toolCall) } : {}),
  };
  return { message, finish_reason, logprobs: choice.logprobs ? { content: choice.logprobs } : null };
}

const toolCall = ({ id, name, arguments: given }: NonNullable<WireChoice['toolCalls']>[number], index: number) => ({
  ...{ index, id, type: 'function' },
  function: { name, arguments: given },
});

function textLogprobs({ logprobs }: WireChoice): object | null {
  if (!logprobs) return null;
  return { tokens: logprobs.map(({ token }) => token), token_logprobs: logprobs.map(({ logprob }) => logprob) };
}

function chunksOf(reply: WireReply, chat: boolean, length: number, counts: boolean): object[] {
  const model = reply.model ?? 'test';
  const pieces = reply.choices.flatMap((choice, index) => piecesOf(choice, index, chat, length));
  const last = counts && reply.usage !== null ? [{ model, choices: [], ...usageOf(reply) }] : [];
  return [...pieces.map((piece) => ({ id: 'x', model, choices: [piece] })), ...last];
}

function piecesOf(choice: WireChoice, index: number, chat: boolean, length: number): object[] {
  const part = (text: string): string[] => text.match(new RegExp(`[\\s\\S]{1,${length}}`, 'g')) ?? [];
  const end = { index, finish_reason: choice.finish ?? 'stop' };
  if (!chat) {
    const logprobs = textLogprobs(choice);
    return [...part(choice.content ?? '').map((text) => ({ index, text })), { ...end, text: '', logprobs }];
  }
  const thoughts = part(choice.reasoning ?? '').map((text) => ({ index, delta: { reasoning_content: text } }));
  const content = part(choice.content ?? '').map((text) => ({ index, delta: { content: text } }));
  const calls = choice.toolCalls ? [{ index, delta: { tool_calls: choice.toolCalls.map(toolCall) } }] : [];
  const logprobs = choice.logprobs ? { logprobs: { content: choice.logprobs } } : {};
  return [
    { index, delta: { role: 'assistant' } },
    ...thoughts,
    ...content,
    ...calls,
    { ...end, delta: {}, ...logprobs },
  ];
}
