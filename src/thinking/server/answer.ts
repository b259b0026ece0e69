import {
  type ChatDelta,
  ChatError,
  type ChatModel,
  type ChatOptions,
  type ChatReply,
  type ChatUsage,
} from '../../engine/chat/index.js';
import { callsOf, totals } from '../call.js';
import type { Answers, Method, Question, ThinkEvent } from '../types.js';
import type { AnsweredChoice, EventStream } from './reply.js';
import { BadRequest, type ServerRequest } from './body.js';
import { Resumed } from './resume.js';
import { RandomStream } from '../../core/index.js';

export interface Answered {
  choices: AnsweredChoice[];
  usage: ChatUsage;
}

export interface AnswerContext {
  model: ChatModel;
  method: Method;
  answers: Answers;
  seed: number;
  signal: AbortSignal;
}

/** A method sees one question: the last user turn, with the system message. Earlier turns need a plain server. */
export function questionOf({ request }: ServerRequest): Question {
  const { messages } = request;
  const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content);
  const others = messages.filter(({ role }) => role !== 'system');
  const [user] = others;
  if (others.length !== 1 || user?.role !== 'user')
    throw new BadRequest('a thinking method answers one user message, with a system message or without', 'messages');
  return { prompt: user.content, ...(system.length > 0 ? { system: system.join('\n\n') } : {}) };
}

/** Runs the method n times. `onEvent` is told the number of the answer with every event. */
export async function thinkAnswers(
  asked: ServerRequest,
  context: AnswerContext,
  onEvent?: (choice: number, event: ThinkEvent) => void,
): Promise<Answered> {
  const question = questionOf(asked);
  const { model, method, answers, signal } = context;
  const seeds = new RandomStream(asked.seed ?? context.seed, 'serve');
  const thoughts = await Promise.all(
    Array.from({ length: asked.n }, (_, i) =>
      method.run(question, {
        ...{
          model,
          sampling: asked.sampling,
          answers,
          signal,
          seed: i === 0 && asked.seed !== undefined ? asked.seed : seeds.seed(i),
        },
        ...(asked.request.stop ? { stop: asked.request.stop } : {}),
        ...(onEvent ? { onEvent: (event) => onEvent(i, event) } : {}),
      }),
    ),
  );
  const usage: ChatUsage = { promptTokens: 0, completionTokens: 0, estimated: false };
  const choices = thoughts.map(({ text, finish, transcript }): AnsweredChoice => {
    const cost = totals(transcript);
    usage.promptTokens += cost.promptTokens;
    usage.completionTokens += cost.completionTokens;
    usage.estimated ||= callsOf(transcript).some(({ estimated }) => estimated);
    return { content: text, reasoning: told(transcript), finish };
  });
  return { choices, usage };
}

/** The thoughts of a method: what every call thought and said, in order. */
function told(transcript: Parameters<typeof callsOf>[0]): string | undefined {
  const calls = callsOf(transcript);
  if (calls.length === 1) return calls[0]?.reasoning;
  const parts = calls.map(({ label, reasoning, raw }) => `[${label}]\n${reasoning ?? raw}`);
  return parts.join('\n\n');
}

type ChatStreaming = Pick<ChatOptions, 'signal' | 'onDelta' | 'onRestart' | 'pace'>;

const chatDelta =
  (events: EventStream) =>
  ({ choice, kind, text }: ChatDelta): void =>
    events.delta(choice, kind === 'content' ? { content: text } : { reasoning_content: text });

/** Passes an answer on as it comes. @throws ChatError cut when a further attempt says something else. */
export async function streamed(
  ask: (options: ChatStreaming) => Promise<ChatReply>,
  events: EventStream,
  signal: AbortSignal,
  send: (delta: ChatDelta) => void,
): Promise<ChatReply> {
  const resumed = new Resumed(send);
  const own = new AbortController();
  const onDelta = (delta: ChatDelta): void => {
    resumed.push(delta);
    if (resumed.diverged) own.abort();
  };
  try {
    return await ask({
      signal: AbortSignal.any([signal, own.signal]),
      onDelta,
      onRestart: () => resumed.restart(),
      pace: () => (events.full ? events.drained(signal) : undefined),
    });
  } catch (error) {
    if (!resumed.diverged) throw error;
    throw new ChatError('cut', 'the answer broke off, and a further attempt began differently', { cause: error });
  }
}

/** The plain answer of the model: one call, passed on as it comes. */
export async function passOn(
  asked: ServerRequest,
  { model, signal }: AnswerContext,
  events?: EventStream,
): Promise<Answered> {
  const ask = (options: ChatStreaming): Promise<ChatReply> =>
    model.complete({ ...asked.request, n: asked.n }, { ...options });
  const { choices, usage } = await (events ? streamed(ask, events, signal, chatDelta(events)) : ask({ signal }));
  return {
    usage,
    choices: choices.map(({ content, reasoning, finish, logprobs }) => ({
      ...{ content, reasoning, finish },
      ...(logprobs ? { logprobs } : {}),
    })),
  };
}

/**
 * Streams a method: all that is thought on the way comes as reasoning_content, under the label of its call; the answer
 * comes as content once it is settled.
 */
export async function streamThinking(
  asked: ServerRequest,
  context: AnswerContext,
  events: EventStream,
): Promise<Answered> {
  const speaking = new Map<number, string>();
  const tell = (choice: number, label: string, text: string): void => {
    const same = speaking.get(choice) === label;
    const heading = same ? '' : `${speaking.has(choice) ? '\n\n' : ''}[${label}]\n`;
    speaking.set(choice, label);
    events.delta(choice, { reasoning_content: heading + text });
  };
  const found = await thinkAnswers(asked, context, (choice, event) => {
    if (event.type === 'delta') tell(choice, event.label, event.text);
    if (event.type === 'restart') tell(choice, event.label, '\n[the connection broke; again]\n');
  });
  for (const [index, { content }] of found.choices.entries()) if (content) events.delta(index, { content });
  return found;
}
