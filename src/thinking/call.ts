import { RandomStream } from '../core/index.js';
import { type CallTiming, type ChatRequest, type ChatTurn, stopIfAborted } from '../engine/chat/index.js';
import type { CallNode, MethodNode, Question, ThinkContext, ThinkTotals, Thought, TranscriptNode } from './types.js';

/** The turns of a question. */
export function turnsOf({ prompt, system }: Question): ChatTurn[] {
  const user: ChatTurn = { role: 'user', content: prompt };
  return system === undefined ? [user] : [{ role: 'system', content: system }, user];
}

/** Seed number `index` of a method's own stream. */
export function childSeed(context: ThinkContext, name: string, index: number): number {
  return new RandomStream(context.seed, 'think', name).seed(index);
}

/** The same context below a method: its own seed, and labels that begin with where it is. */
export function childContext(context: ThinkContext, label: string, seed: number): ThinkContext {
  const { onEvent } = context;
  const told = onEvent && {
    onEvent: (event: Parameters<typeof onEvent>[0]) => onEvent({ ...event, label: join(label, event.label) }),
  };
  return { ...context, seed, ...told };
}

const join = (outer: string, inner: string): string => (inner === '' ? outer : `${outer} / ${inner}`);

/** One call of the model. Members of `request` override the context's sampling. */
export async function call(
  context: ThinkContext,
  label: string,
  request: Partial<ChatRequest> & Pick<ChatRequest, 'messages'>,
): Promise<CallNode> {
  const { model, sampling, stop, seed, signal, logprobs, onEvent } = context;
  stopIfAborted(signal);
  onEvent?.({ type: 'start', label });
  let timing: CallTiming = { seconds: 0, attempts: 0 };
  const asked: ChatRequest = {
    ...{ ...sampling, seed },
    ...(stop && stop.length > 0 ? { stop } : {}),
    ...(logprobs ? { logprobs } : {}),
    ...request,
  };
  const { choices, usage } = await model.complete(asked, {
    ...(signal ? { signal } : {}),
    ...(onEvent ? { onDelta: ({ kind, text }) => onEvent({ type: 'delta', label, kind, text }) } : {}),
    onRestart: () => onEvent?.({ type: 'restart', label }),
    onTiming: (told) => (timing = told),
  });
  const choice = choices[0];
  if (choice === undefined) throw new RangeError(`${model.name} gave no choice`);
  const { content, reasoning, raw, finish, toolCalls, logprobs: told } = choice;
  const node: CallNode = {
    ...{ kind: 'call', label, messages: request.messages, content, reasoning, raw, finish },
    ...{ promptTokens: usage.promptTokens, completionTokens: usage.completionTokens, estimated: usage.estimated },
    ...(toolCalls ? { toolCalls } : {}),
    ...(told ? { logprobs: told } : {}),
    timing,
  };
  onEvent?.({ type: 'end', label, node });
  return node;
}

/** What one call says, as a method's result. */
export async function thoughtOf(node: CallNode, context: ThinkContext): Promise<Thought> {
  return {
    text: node.content,
    answer: node.content === undefined ? undefined : await context.answers.extract(node.content),
    finish: node.finish,
    reasoned: node.reasoning !== undefined,
    transcript: node,
  };
}

/** A method's node over what it did. */
export function methodNode(
  method: string,
  children: readonly TranscriptNode[],
  notes: MethodNode['notes'] = {},
): MethodNode {
  return { kind: 'method', label: '', method, notes, children };
}

/** The same node under a label. */
export function labelled(node: TranscriptNode, label: string): TranscriptNode {
  return { ...node, label: join(label, node.kind === 'call' ? '' : node.label) };
}

/** Calls of a transcript, in the order in which they were made. */
export function callsOf(node: TranscriptNode): CallNode[] {
  return node.kind === 'call' ? [node] : node.children.flatMap(callsOf);
}

/** What a transcript cost. Replies from a cache count as they would have without. */
export function totals(node: TranscriptNode): ThinkTotals {
  const sum: ThinkTotals = { calls: 0, promptTokens: 0, completionTokens: 0, seconds: 0 };
  for (const { promptTokens, completionTokens, timing } of callsOf(node)) {
    sum.calls++;
    sum.promptTokens += promptTokens;
    sum.completionTokens += completionTokens;
    sum.seconds += timing.seconds;
  }
  return sum;
}

/** The transcript without times and logprobs: what has to be the same when it is made again. */
export function withoutTiming(node: TranscriptNode): object {
  if (node.kind === 'method') return { ...node, children: node.children.map(withoutTiming) };
  const { timing: _, logprobs: __, ...rest } = node;
  return rest;
}
