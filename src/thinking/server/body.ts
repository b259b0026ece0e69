import { z } from 'zod';
import type { ChatRequest, ChatSampling, ChatTurn, Json } from '../../engine/chat/index.js';

/** What a request may ask for at most. */
export interface RequestLimits {
  /** Answers for one request. */
  n: number;
  maxTokens: number;
  /** Messages of one conversation. */
  messages: number;
}

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
/** Text, or parts of text, which are put together; images and sound are refused. */
const content = z.union([z.string(), z.null().transform(() => ''), z.array(part).transform(joinParts)]).default('');

function joinParts(parts: z.output<typeof part>[], context: z.RefinementCtx): string {
  for (const { type } of parts)
    if (type !== 'text') context.addIssue({ code: 'custom', message: `parts of type ${type} are not understood` });
  return parts.map(({ text }) => text ?? '').join('');
}

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content,
  tool_call_id: z.string().optional(),
});

const sampling = z.looseObject({
  model: z.string().optional(),
  n: z.int().min(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().min(0).nullish(),
  stop: z.union([z.string().transform((text) => [text]), z.array(z.string())]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
});

const chat = sampling.extend({ messages: z.array(message).min(1), logprobs: z.boolean().nullish() });
const text = sampling.extend({ prompt: z.string(), logprobs: z.number().nullish() });

/** A request as the server works on it. */
export interface ServerRequest {
  request: ChatRequest;
  sampling: ChatSampling;
  n: number;
  stream: boolean;
  streamUsage: boolean;
  seed: number | undefined;
  model: string | undefined;
}

/** Members that are not understood are refused where leaving them out would change the answer. */
const REFUSED = ['tools', 'functions', 'response_format', 'logit_bias', 'audio'];

export class BadRequest extends Error {
  constructor(
    message: string,
    readonly param: string,
  ) {
    super(message);
  }
}

/** @throws BadRequest that names the member which is not right. */
export function readChat(body: unknown, limits: RequestLimits): ServerRequest {
  const parsed = parse(chat, body);
  if (parsed.messages.length > limits.messages)
    throw new BadRequest(`more than ${limits.messages} messages`, 'messages');
  const messages: ChatTurn[] = parsed.messages.map(({ role, content: said, tool_call_id }) => ({
    role: role === 'developer' ? 'system' : role,
    content: said,
    ...(tool_call_id === undefined ? {} : { toolCallId: tool_call_id }),
  }));
  return { ...common(parsed, limits), request: requestOf(parsed, limits, messages, parsed.logprobs === true) };
}

/** @throws BadRequest that names the member which is not right. */
export function readText(body: unknown, limits: RequestLimits): ServerRequest & { prompt: string } {
  const parsed = parse(text, body);
  const asked = typeof parsed.logprobs === 'number';
  return { ...common(parsed, limits), prompt: parsed.prompt, request: requestOf(parsed, limits, [], asked) };
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  for (const name of REFUSED)
    if (given[name] !== undefined && given[name] !== null && !isPlain(name, given[name]))
      throw new BadRequest(`${name} is not understood by this server`, name);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BadRequest(issue?.message ?? 'not valid', issue?.path.join('.') ?? '');
}

const isPlain = (name: string, value: unknown): boolean =>
  name === 'response_format' && (value as { type?: Json }).type === 'text';

type Sampling = z.output<typeof sampling>;

function common(parsed: Sampling, limits: RequestLimits): Omit<ServerRequest, 'request'> {
  const n = parsed.n ?? 1;
  if (n > limits.n) throw new BadRequest(`at most ${limits.n} answers for one request`, 'n');
  return {
    sampling: samplingOf(parsed, limits),
    n,
    stream: parsed.stream === true,
    streamUsage: parsed.stream_options?.include_usage === true,
    seed: parsed.seed ?? undefined,
    model: parsed.model,
  };
}

function samplingOf(parsed: Sampling, limits: RequestLimits): ChatSampling {
  const maxTokens = parsed.max_completion_tokens ?? parsed.max_tokens ?? limits.maxTokens;
  const { temperature, top_p: topP, top_k: topK, min_p: minP } = parsed;
  return {
    maxTokens: Math.min(maxTokens, limits.maxTokens),
    ...(typeof temperature === 'number' ? { temperature } : {}),
    ...(typeof topP === 'number' ? { topP } : {}),
    ...(typeof topK === 'number' ? { topK } : {}),
    ...(typeof minP === 'number' ? { minP } : {}),
  };
}

function requestOf(parsed: Sampling, limits: RequestLimits, messages: ChatTurn[], logprobs: boolean): ChatRequest {
  return {
    ...{ messages, ...samplingOf(parsed, limits) },
    ...(parsed.stop && parsed.stop.length > 0 ? { stop: parsed.stop } : {}),
    ...(logprobs ? { logprobs } : {}),
    ...(typeof parsed.seed === 'number' ? { seed: parsed.seed } : {}),
  };
}
