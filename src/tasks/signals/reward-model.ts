import PQueue from 'p-queue';
import { z } from 'zod';
import { HoneError, messageOf, RandomStream } from '../../core/index.js';
import { ChatError, type ChatFault } from '../../engine/chat/errors.js';
import { retryAfterSeconds, withRetries, type RetryPolicy } from '../../engine/chat/retry.js';
import { signal, type Asked, type Leaf } from './algebra.js';

/** What a reward server is sent and answers: `request` makes the body, `reply` parses it and gives the reward. */
export interface RewardFormat {
  /** Where its description is. */
  source: string;
  request(text: string, asked: Asked, model: string | undefined): Record<string, unknown>;
  reply: z.ZodType<number>;
}

/** A reward: a number, or a list of one. */
const oneReward = z
  .union([z.number(), z.array(z.number()).length(1)])
  .transform((value) => [value].flat()[0] as number);

/** Published formats. */
export const REWARD_FORMATS = {
  /** {"query": [text], "prompts": [prompt]} -> {"rewards": [number]}. */
  openrlhf: {
    source: 'OpenRLHF, --remote_rm_url (openrlhf/utils/remote_rm_utils.py)',
    request: (text, { problem }) => ({ query: [text], prompts: [problem.prompt] }),
    reply: z
      .looseObject({ rewards: z.union([z.number(), z.array(oneReward).length(1)]) })
      .transform(({ rewards }) => [rewards].flat()[0] as number),
  },
  /** {"model", "input"} -> {"data": [{"probs": [number]}]}: a head of one label. */
  'vllm-classify': {
    source: 'vLLM and SGLang, POST /classify',
    request: (text, _, model) => ({ model, input: text }),
    reply: z
      .looseObject({ data: z.array(z.looseObject({ probs: z.array(z.number()).length(1) })).length(1) })
      .transform(({ data }) => data[0]?.probs[0] as number),
  },
  /** {"model", "input"} -> {"data": [{"data": [number] or one list a token}]}: the last token's. */
  'vllm-pooling': {
    source: 'vLLM, POST /pooling; a reward model gives one value a token, and the last one counts',
    request: (text, _, model) => ({ model, input: text }),
    reply: z
      .looseObject({
        data: z.array(z.looseObject({ data: z.array(oneReward).min(1) })).length(1),
      })
      .transform(({ data }) => data[0]?.data.at(-1) as number),
  },
} as const satisfies Record<string, RewardFormat>;
export type RewardFormatName = keyof typeof REWARD_FORMATS;

export interface RewardModelOptions {
  /** The whole address, path included. */
  url: string;
  format: RewardFormatName | RewardFormat;
  /** The model's name at the server, for formats that carry one. */
  model?: string;
  /** The text that is rated, in the reward model's own chat template. Default: prompt and response end to end. */
  render?(asked: Asked): string;
  headers?: Readonly<Record<string, string>>;
  /** Seconds for one attempt. Default 60. */
  timeout?: number;
  /** Default: 4 attempts after the first, waits from 0.5 s to 10 s. */
  retry?: Partial<RetryPolicy>;
  /** Requests under way at once. Default 16. */
  concurrency?: number;
  /** Seed of the jitter between attempts. */
  seed?: number;
  name?: string;
}

const RETRY: RetryPolicy = { retries: 4, firstWait: 0.5, longestWait: 10, emptyRetries: 0 };

/**
 * A reward model behind HTTP. The value is the server's number as it is, of any size: put `sigmoid` or `clamp` around it.
 * Time-outs, broken connections, 429, 5xx and replies of another shape are tried again; then the response has no verdict
 * (cause `grader`).
 * @throws HoneError usage where the server refuses the request (4xx), or the address is none; interrupted on the signal.
 */
export function rewardModelSignal(options: RewardModelOptions): Leaf {
  const { format, name = 'reward', seed = 0, model } = options;
  const { request, reply } = typeof format === 'string' ? formatNamed(format) : format;
  const url = addressOf(options.url);
  const queue = new PQueue({ concurrency: options.concurrency ?? 16 });
  const policy = { ...RETRY, ...options.retry };
  let calls = 0;
  return signal(name, async (asked) => {
    const text = options.render?.(asked) ?? asked.problem.prompt + asked.response.text;
    const body = JSON.stringify(request(text, asked, model));
    const random = new RandomStream(seed, 'reward-model', calls++);
    const attempt = (): Promise<number> => post(url, body, reply, options, asked.signal);
    try {
      const value = await queue.add(() => withRetries(attempt, { policy, random, signal: asked.signal }));
      return { value };
    } catch (error) {
      if (error instanceof HoneError && (error.kind === 'usage' || error.kind === 'interrupted')) throw error;
      if (error instanceof ChatError) return { missing: 'grader', reason: `the reward model failed: ${error.message}` };
      throw error;
    }
  });
}

function formatNamed(name: RewardFormatName): RewardFormat {
  if (Object.hasOwn(REWARD_FORMATS, name)) return REWARD_FORMATS[name];
  throw new HoneError('usage', `there is no reward format "${String(name)}"`, {
    hint: `Formats: ${Object.keys(REWARD_FORMATS).join(', ')}; or give {source, request, reply}.`,
  });
}

function addressOf(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new HoneError('usage', `"${url}" is no http address`, {
    hint: 'Give the whole address, e.g. http://host:5000/get_reward.',
  });
}

async function post(
  url: string,
  body: string,
  reply: z.ZodType<number>,
  { headers, timeout = 60 }: RewardModelOptions,
  stop: AbortSignal | undefined,
): Promise<number> {
  const limit = AbortSignal.timeout(timeout * 1000);
  const sent = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
  let text: string;
  try {
    const response = await fetch(url, { ...sent, signal: stop ? AbortSignal.any([limit, stop]) : limit });
    text = await response.text();
    if (!response.ok) throw statusFault(url, response, text);
  } catch (error) {
    if (error instanceof ChatError) throw error;
    if (limit.aborted) throw fault('timeout', `no reply within ${timeout} s`, url, error);
    throw fault('unreachable', `no connection (${reasonOf(error)})`, url, error);
  }
  return parsed(url, text, reply);
}

/** `fetch failed` says nothing; its cause does. */
const reasonOf = (error: unknown): string => messageOf((error as { cause?: unknown }).cause ?? error);

function statusFault(url: string, response: Response, text: string): ChatError {
  const { status, headers } = response;
  const kind: ChatFault = status === 429 ? 'busy' : status >= 500 ? 'server' : 'refused';
  const retryAfter = retryAfterSeconds(headers.get('retry-after'), Date.now());
  return new ChatError(kind, `the server answers ${status}: ${JSON.stringify(text.slice(0, 200))}`, {
    where: url,
    status,
    hint: 'Check the address, its path and the format.',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

function parsed(url: string, text: string, reply: z.ZodType<number>): number {
  try {
    return reply.parse(JSON.parse(text));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const what = issue ? `${issue.path.join('.') || 'the reply'}: ${issue.message}` : messageOf(error);
    throw fault('malformed', `the reply is not of the format (${what})`, url, error);
  }
}

const fault = (kind: ChatFault, message: string, where: string, cause: unknown): ChatError =>
  new ChatError(kind, message, { where, cause, hint: 'Check the address and that the reward server is running.' });
