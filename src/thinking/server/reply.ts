import { PassThrough } from 'node:stream';
import { once } from 'node:events';
import type { ChatChoice, ChatUsage, Finish, TokenLogprob } from '../../engine/chat/index.js';

/** What identifies a reply on the wire. */
export interface ReplyHead {
  id: string;
  model: string;
  /** Unix seconds. */
  created: number;
}

export interface AnsweredChoice {
  content: string | undefined;
  reasoning: string | undefined;
  finish: Finish;
  logprobs?: readonly TokenLogprob[];
}

const finishReason = (finish: Finish): string => (finish === 'aborted' ? 'stop' : finish);

const usageBody = ({ promptTokens, completionTokens }: Omit<ChatUsage, 'estimated'>) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

export function chatReplyBody(head: ReplyHead, choices: readonly AnsweredChoice[], usage: ChatUsage): object {
  return {
    ...{ id: head.id, object: 'chat.completion', created: head.created, model: head.model },
    choices: choices.map(({ content, reasoning, finish, logprobs }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: content ?? null,
        ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
      },
      finish_reason: finishReason(finish),
      logprobs: logprobs ? { content: logprobs.map((token) => ({ ...token, bytes: null, top_logprobs: [] })) } : null,
    })),
    usage: usageBody(usage),
  };
}

export function textReplyBody(head: ReplyHead, choices: readonly ChatChoice[], usage: ChatUsage): object {
  return {
    ...{ id: head.id, object: 'text_completion', created: head.created, model: head.model },
    choices: choices.map(({ raw, finish, logprobs }, index) => ({
      ...{ index, text: raw, finish_reason: finishReason(finish) },
      logprobs: logprobs
        ? { tokens: logprobs.map(({ token }) => token), token_logprobs: logprobs.map(({ logprob }) => logprob) }
        : null,
    })),
    usage: usageBody(usage),
  };
}

/**
 * The event stream of a reply. Events wait for a slow reader up to the stream's own buffer; `full` says that it is full,
 * and `drained` waits until it is not, so that a reader who does not read holds up his own answer and no memory.
 */
export class EventStream {
  readonly stream = new PassThrough({ highWaterMark: 256 * 1024 });
  readonly #head: ReplyHead;
  readonly #object: string;

  constructor(head: ReplyHead, object: 'chat.completion.chunk' | 'text_completion') {
    this.#head = head;
    this.#object = object;
  }

  get full(): boolean {
    return this.stream.writableNeedDrain;
  }

  async drained(signal: AbortSignal): Promise<void> {
    if (this.full) await once(this.stream, 'drain', { signal });
  }

  choice(choice: object): void {
    const { id, created, model } = this.#head;
    this.#send({ id, object: this.#object, created, model, choices: [choice] });
  }

  delta(index: number, delta: object): void {
    this.choice({ index, delta, finish_reason: null });
  }

  finish(index: number, finish: Finish): void {
    const said = this.#object === 'text_completion' ? { text: '', logprobs: null } : { delta: {} };
    this.choice({ index, ...said, finish_reason: finishReason(finish) });
  }

  usage(usage: ChatUsage): void {
    const { id, created, model } = this.#head;
    this.#send({ id, object: this.#object, created, model, choices: [], usage: usageBody(usage) });
  }

  error(message: string): void {
    this.#send({ error: { message, type: 'server_error', code: null } });
  }

  end(): void {
    this.stream.end('data: [DONE]\n\n');
  }

  /** Breaks off: a reader sees that the reply is not whole. */
  break(): void {
    this.stream.destroy();
  }

  #send(value: object): void {
    if (!this.stream.destroyed) this.stream.write(`data: ${JSON.stringify(value)}\n\n`);
  }
}
