import { RandomStream } from '../../core/index.js';
import type { ChatReply, ChatRequest } from './types.js';

/** Most answers of one request, so that `draw` tells all of them apart. */
const STRIDE = 65_536;

/** A request for n answers as n requests for one: the first keeps the seed, the others have seeds of its stream. */
export function apart({ n = 1, ...request }: ChatRequest): ChatRequest[] {
  const { seed, draw = 0 } = request;
  const seeds = seed === undefined ? undefined : new RandomStream(seed, 'several');
  return Array.from({ length: n }, (_, i) => ({
    ...request,
    draw: draw * STRIDE + i,
    ...(seeds ? { seed: i === 0 ? (seed as number) : seeds.seed(i) } : {}),
  }));
}

/** Replies of one answer each as the reply of all of them. The prompt was read, and paid, for each. */
export function joinReplies(replies: readonly ChatReply[]): ChatReply {
  const sum = (of: (reply: ChatReply) => number): number => replies.reduce((total, reply) => total + of(reply), 0);
  return {
    choices: replies.flatMap(({ choices }) => choices),
    usage: {
      promptTokens: sum(({ usage }) => usage.promptTokens),
      completionTokens: sum(({ usage }) => usage.completionTokens),
      estimated: replies.some(({ usage }) => usage.estimated),
    },
    model: (replies[0] as ChatReply).model,
  };
}
