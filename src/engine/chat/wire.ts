import { z } from 'zod';
import type { ChatRequest, ChatTool, ChatTurn, Json, TokenLogprob, ToolCall } from './types.js';

/** The shapes of the OpenAI API, as loosely as servers keep to them. */

const usage = z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number().default(0) }).nullish();

const tokenLogprobs = z
  .looseObject({ content: z.array(z.looseObject({ token: z.string(), logprob: z.number() })).nullish() })
  .nullish();

const toolCallPiece = z.looseObject({
  index: z.number().optional(),
  id: z.string().nullish(),
  function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

const message = z.looseObject({
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  reasoning: z.string().nullish(),
  tool_calls: z.array(toolCallPiece).nullish(),
});

const chatChoice = z.looseObject({
  index: z.number().default(0),
  finish_reason: z.string().nullish(),
  logprobs: tokenLogprobs,
});

const textLogprobs = z
  .looseObject({ tokens: z.array(z.string()), token_logprobs: z.array(z.number().nullable()) })
  .nullish();

const textChoice = z.looseObject({
  index: z.number().default(0),
  text: z.string(),
  finish_reason: z.string().nullish(),
  logprobs: textLogprobs,
});

const reply = z.looseObject({ model: z.string().nullish(), usage });

const chatChunk = reply.extend({ choices: z.array(chatChoice.extend({ delta: message })).default([]) });
const chatReply = reply.extend({ choices: z.array(chatChoice.extend({ message })).min(1) });
const textChunk = reply.extend({ choices: z.array(textChoice).default([]) });
const textReply = reply.extend({ choices: z.array(textChoice).min(1) });

export interface ToolCallPiece {
  index: number;
  id: string | undefined;
  name: string | undefined;
  arguments: string;
}

/** What one chunk, or a whole reply, says about one answer. */
export interface Piece {
  index: number;
  content: string;
  reasoning: string;
  finish: string | undefined;
  logprobs: readonly TokenLogprob[];
  toolCalls: readonly ToolCallPiece[];
}

export interface Pieces {
  pieces: readonly Piece[];
  model: string | undefined;
  usage: { promptTokens: number; completionTokens: number } | undefined;
}

export type Route = 'chat' | 'text';

/** Reads a chunk of a stream, or a whole reply. @throws z.ZodError when it is neither. */
export function readPieces(route: Route, streamed: boolean, data: unknown): Pieces {
  if (route === 'chat') {
    const parsed = streamed ? chatChunk.parse(data) : chatReply.parse(data);
    return { ...about(parsed), pieces: parsed.choices.map(chatPiece) };
  }
  const parsed = (streamed ? textChunk : textReply).parse(data);
  return { ...about(parsed), pieces: parsed.choices.map(textPiece) };
}

function about({ model, usage: told }: z.output<typeof reply>): Pick<Pieces, 'model' | 'usage'> {
  return {
    model: model ?? undefined,
    usage: told ? { promptTokens: told.prompt_tokens, completionTokens: told.completion_tokens } : undefined,
  };
}

type Message = z.output<typeof message>;

function chatPiece(choice: z.output<typeof chatChoice> & { delta?: Message; message?: Message }): Piece {
  const said = choice.delta ?? choice.message ?? {};
  return {
    index: choice.index,
    content: said.content ?? '',
    reasoning: said.reasoning_content ?? said.reasoning ?? '',
    finish: choice.finish_reason ?? undefined,
    logprobs: (choice.logprobs?.content ?? []).map(({ token, logprob }) => ({ token, logprob })),
    toolCalls: (said.tool_calls ?? []).map((call, i) => ({
      index: call.index ?? i,
      id: call.id ?? undefined,
      name: call.function?.name ?? undefined,
      arguments: call.function?.arguments ?? '',
    })),
  };
}

function textPiece({ index, text, finish_reason, logprobs }: z.output<typeof textChoice>): Piece {
  const { tokens = [], token_logprobs = [] } = logprobs ?? {};
  return {
    index,
    content: text,
    reasoning: '',
    finish: finish_reason ?? undefined,
    logprobs: tokens.flatMap((token, i) => {
      const logprob = token_logprobs[i];
      return logprob === null || logprob === undefined ? [] : [{ token, logprob }];
    }),
    toolCalls: [],
  };
}

/** Members of a request body that chat and text completion share; what is undefined is left out. */
export function samplingBody(request: Omit<ChatRequest, 'messages'>): Record<string, Json> {
  const { n, maxTokens, temperature, topP, topK, minP, stop, seed } = request;
  const members: Record<string, Json | undefined> = {
    n: n === 1 ? undefined : n,
    max_tokens: maxTokens,
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    stop: stop === undefined || stop.length === 0 ? undefined : stop,
    seed: seed === undefined ? undefined : portableSeed(seed),
  };
  return { ...withoutUndefined(members), ...request.extra };
}

/** Servers hold seeds in 32 signed bits. */
function portableSeed(seed: number): number {
  return seed % 0x7fffffff;
}

export function chatBody(request: ChatRequest, model: string): Record<string, Json> {
  return withoutUndefined({
    model,
    messages: request.messages.map(turnBody),
    ...samplingBody(request),
    logprobs: request.logprobs ? true : undefined,
    tools: request.tools?.map(toolBody),
  });
}

export function textBody(prompt: string, request: Omit<ChatRequest, 'messages'>, model: string): Record<string, Json> {
  return withoutUndefined({ model, prompt, ...samplingBody(request), logprobs: request.logprobs ? 0 : undefined });
}

function turnBody({ role, content, toolCalls, toolCallId }: ChatTurn): Json {
  return withoutUndefined({ role, content, tool_calls: toolCalls?.map(callBody), tool_call_id: toolCallId });
}

function callBody({ id, name, arguments: given }: ToolCall): Json {
  return { id, type: 'function', function: { name, arguments: given } };
}

function toolBody({ name, description, parameters }: ChatTool): Json {
  return { type: 'function', function: withoutUndefined({ name, description, parameters }) };
}

function withoutUndefined(members: Record<string, Json | undefined>): Record<string, Json> {
  const present = Object.entries(members).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return Object.fromEntries(present);
}
