import { type ErrorKind, HoneError } from '../../core/index.js';
import type { Capability, ChatModel } from './types.js';

/**
 * Why a request got no reply.
 * `busy`, `server`, `timeout`, `cut`, `malformed`, `unreachable`: may go away by itself, and is tried again.
 * `auth`, `no-model`, `no-route`, `refused`: the same request fails for ever.
 * `context`: the prompt leaves no room for an answer. `budget`: the allowance is spent.
 */
export type ChatFault =
  | 'busy'
  | 'server'
  | 'timeout'
  | 'cut'
  | 'malformed'
  | 'empty'
  | 'unreachable'
  | 'auth'
  | 'no-model'
  | 'no-route'
  | 'refused'
  | 'context'
  | 'budget';

const KINDS: Readonly<Record<ChatFault, ErrorKind>> = {
  busy: 'resource',
  server: 'resource',
  timeout: 'resource',
  cut: 'resource',
  malformed: 'input',
  empty: 'input',
  unreachable: 'resource',
  auth: 'usage',
  'no-model': 'usage',
  'no-route': 'usage',
  refused: 'usage',
  context: 'input',
  budget: 'resource',
};

const TRANSIENT: ReadonlySet<ChatFault> = new Set([
  'busy',
  'server',
  'timeout',
  'cut',
  'malformed',
  'empty',
  'unreachable',
]);

export interface ChatErrorOptions {
  where?: string;
  hint?: string;
  cause?: unknown;
  status?: number;
  /** Seconds that the server asked to wait. */
  retryAfter?: number;
  /** Generated tokens that had arrived before the reply broke off: paid and lost. */
  lostTokens?: number;
}

/** A request that got no usable reply. */
export class ChatError extends HoneError {
  readonly fault: ChatFault;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  readonly lostTokens: number;

  constructor(fault: ChatFault, message: string, options: ChatErrorOptions = {}) {
    super(KINDS[fault], message, options);
    this.name = 'ChatError';
    this.fault = fault;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.lostTokens = options.lostTokens ?? 0;
  }

  /** May go away by itself. */
  get transient(): boolean {
    return TRANSIENT.has(this.fault);
  }
}

/** @throws HoneError('interrupted') when the signal has fired. */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw interrupted(signal);
}

export function interrupted(signal: AbortSignal | undefined): HoneError {
  return new HoneError('interrupted', 'stopped before the answer was complete', { cause: signal?.reason });
}

const WAYS_OUT: Readonly<Record<Capability, string>> = {
  continueAssistant:
    'Use a local model (--model), or say how the server continues an assistant turn (--continue vllm, or completions with --template).',
  scoreTokens: 'Use a local model, or an endpoint whose /v1/completions knows `echo` with --template.',
  embed: 'Use an endpoint that serves /v1/embeddings and declare `embed`.',
  logprobs: 'Use a local model, or an endpoint that returns logprobs.',
  seeds: 'Use a model whose sampling is seeded, such as a local one.',
  tools: 'Use an endpoint that knows function calling.',
  completeText: 'Use an endpoint that serves /v1/completions.',
};

/**
 * Refused before any work starts.
 * @throws HoneError('usage') that names the capability and the way out.
 */
export function requireCapabilities(model: ChatModel, needs: readonly Capability[], who: string): void {
  for (const need of needs)
    if (!model.capabilities[need])
      throw new HoneError('usage', `${who} needs ${need}, which ${model.name} does not have`, {
        hint: WAYS_OUT[need],
      });
}
