import OpenAI from 'openai';
import { z } from 'zod';
import { messageOf } from '../../core/index.js';
import { errorCode } from '../../formats/index.js';
import { ChatError, type ChatErrorOptions, type ChatFault } from './errors.js';
import { retryAfterSeconds } from './retry.js';

const CONTEXT =
  /context (length|window|size|overflow)|maximum context|context_length|too many tokens|prompt is too long|exceeds? the (available )?context/i;
const MODEL = /model/i;
const QUOTA = /insufficient_quota|billing/i;

/** One short line without control characters: what a server says is hostile text, and goes to a terminal. */
function oneLine(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

/**
 * What a thrown value of the transport means. `url` is named in the message.
 * @param idle the silence of the server ran into our own time limit. @param now for dates in Retry-After, in ms.
 */
export function faultOf(error: unknown, { url, idle, now }: { url: string; idle: boolean; now: number }): ChatError {
  if (error instanceof ChatError) return error;
  if (idle || error instanceof OpenAI.APIConnectionTimeoutError)
    return new ChatError('timeout', 'the server went silent', {
      where: url,
      hint: 'Raise the time limit (--request-timeout), or look at the load of the server.',
      cause: error,
    });
  if (error instanceof OpenAI.APIConnectionError) return connectionFault(error, url);
  if (error instanceof OpenAI.APIError) return statusFault(error, url, now);
  if (error instanceof SyntaxError || error instanceof z.ZodError)
    return new ChatError('malformed', 'the reply is not what the chat API describes', {
      where: url,
      hint: 'Is this an OpenAI-compatible server, and its /v1 address?',
      cause: error,
    });
  return new ChatError('cut', `the connection broke (${oneLine(messageOf(error))})`, { where: url, cause: error });
}

function connectionFault(error: Error, url: string): ChatError {
  const code = errorCode(error.cause) ?? errorCode((error.cause as { cause?: unknown } | undefined)?.cause);
  const host = code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  const why = host ? 'there is no such host' : code === 'ECONNREFUSED' ? 'nothing listens there' : 'no connection';
  return new ChatError('unreachable', `${why}${code ? ` (${code})` : ''}`, {
    where: url,
    hint: 'Check the address and that the server is running.',
    cause: error,
  });
}

function statusFault(error: InstanceType<typeof OpenAI.APIError>, url: string, now: number): ChatError {
  const said = oneLine(messageOf(error));
  const status = error.status as number | undefined;
  const headers = error.headers as Headers | undefined;
  const make = (fault: ChatFault, message: string, hint?: string): ChatError =>
    new ChatError(fault, message, statusOptions({ url, hint, error, status, headers, now }));
  if (status === 401 || status === 403)
    return make('auth', `the server refuses the key (${said})`, 'Give the right key in --api-key or HONE_API_KEY.');
  if (CONTEXT.test(said) || error.code === 'context_length_exceeded')
    return make('context', `the prompt does not fit the context of the model (${said})`);
  if (status === 404) return notFound(make, said);
  if (status === 429 && QUOTA.test(`${said} ${error.code}`))
    return make('refused', `the account has no quota left (${said})`, 'Look at the plan and billing of the account.');
  if (status === 429) return make('busy', `the server asks to slow down (${said})`, 'Lower --concurrency.');
  if (status === 408 || status === 425) return make('timeout', `the server gave up waiting (${said})`);
  if (status === 501) return make('refused', `the server cannot do this (${said})`);
  if (status === undefined || status >= 500) return make('server', `the server failed (${said})`);
  if (/logprob/i.test(said))
    return make('refused', `the endpoint gives no logprobs (${said})`, 'Use a method that needs none.');
  return make('refused', `the server refuses the request (${said})`);
}

function notFound(make: (fault: ChatFault, message: string, hint?: string) => ChatError, said: string): ChatError {
  return MODEL.test(said)
    ? make('no-model', `the server does not have this model (${said})`, 'Give a name that its /v1/models lists.')
    : make('no-route', `nothing is served at this address (${said})`, 'Give the address up to and including /v1.');
}

interface StatusParts {
  url: string;
  hint: string | undefined;
  error: unknown;
  status: number | undefined;
  headers: Headers | undefined;
  now: number;
}

function statusOptions({ url, hint, error, status, headers, now }: StatusParts): ChatErrorOptions {
  const retryAfter = retryAfterSeconds(headers?.get?.('retry-after'), now);
  return {
    where: url,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    ...(status === undefined ? {} : { status }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}
