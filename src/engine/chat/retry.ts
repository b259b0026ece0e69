import { setTimeout as sleep } from 'node:timers/promises';
import type { RandomStream } from '../../core/index.js';
import { ChatError, stopIfAborted } from './errors.js';

export interface RetryPolicy {
  /** Attempts after the first. */
  retries: number;
  /** Wait before the first of them, in seconds; doubles with each. */
  firstWait: number;
  longestWait: number;
  /** So many empty answers are asked for again; then the emptiness is taken as the model's own. */
  emptyRetries: number;
}

export const DEFAULT_RETRY: RetryPolicy = { retries: 12, firstWait: 0.5, longestWait: 60, emptyRetries: 4 };

/**
 * Seconds to wait before attempt `attempt` (from 1): half of the doubled wait for certain, the other half by draw
 * ("equal jitter"), so that many clients do not come back at once; what the server asked for is the least.
 */
export function waitBefore(attempt: number, policy: RetryPolicy, random: RandomStream, retryAfter = 0): number {
  const full = Math.min(policy.longestWait, policy.firstWait * 2 ** (attempt - 1));
  const drawn = (full / 2) * (1 + random.uniform(attempt));
  return Math.max(drawn, retryAfter * (1 + 0.1 * random.uniform(attempt)));
}

export interface RetryContext {
  policy: RetryPolicy;
  /** Draw i shapes wait i. */
  random: RandomStream;
  signal?: AbortSignal | undefined;
  /** Told of every failed attempt that will be repeated. */
  onRetry?: (error: ChatError, attempt: number, wait: number) => void;
}

/**
 * Repeats `work` while it fails for a reason that may go away.
 * @throws the last ChatError when attempts run out or waiting makes no sense; HoneError interrupted on the signal.
 */
export async function withRetries<T>(work: (attempt: number) => Promise<T>, context: RetryContext): Promise<T> {
  const { policy, random, signal, onRetry } = context;
  for (let attempt = 0; ; attempt++) {
    stopIfAborted(signal);
    try {
      return await work(attempt);
    } catch (error) {
      stopIfAborted(signal);
      if (!(error instanceof ChatError) || !error.transient) throw error;
      if (attempt >= policy.retries) throw givenUp(error, attempt + 1);
      const wait = waitBefore(attempt + 1, policy, random, error.retryAfter);
      onRetry?.(error, attempt + 1, wait);
      await pause(wait, signal);
    }
  }
}

async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, signal ? { signal } : {});
  } catch (error) {
    stopIfAborted(signal);
    throw error;
  }
}

function givenUp(error: ChatError, attempts: number): ChatError {
  return new ChatError(error.fault, `${error.message} (given up after ${attempts} attempts)`, {
    hint: error.hint ?? 'Look at the server; run the same command again and what was answered is not asked for again.',
    cause: error,
    ...(error.status === undefined ? {} : { status: error.status }),
  });
}

/** Seconds that a Retry-After header asks for: a number, or a date against `now` (ms). @returns undefined: not given. */
export function retryAfterSeconds(header: string | null | undefined, now: number): number | undefined {
  if (header === null || header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
