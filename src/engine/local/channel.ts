import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { HoneError, messageOf, type ErrorKind } from '../../core/index.js';
import { Backend, type BackendOptions } from './backend.js';
import type { SamplingHooks } from './sampling.js';

/** Methods of the backend that a channel can call; `sample` gets its hooks from the channel. */
export type Method = keyof Backend;
export type Args<M extends Method> = M extends 'sample'
  ? [handle: number, requests: Parameters<Backend['sample']>[1], keep: boolean]
  : Parameters<Backend[M]>;

/** The way to a backend: calls take effect in the order they are made. */
export interface Channel {
  call<M extends Method>(method: M, args: Args<M>, hooks?: SamplingHooks): Promise<Awaited<ReturnType<Backend[M]>>>;
  close(): Promise<void>;
}

const noHooks: SamplingHooks = { aborted: () => false, progress() {} };

const closedError = (): HoneError => new HoneError('usage', 'the engine has been closed', { hint: 'Make a new one.' });

/** Runs calls one after the other on a backend in this thread. */
export class InlineChannel implements Channel {
  readonly #backend: Backend;
  #closed = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: BackendOptions) {
    this.#backend = new Backend(options);
  }

  call<M extends Method>(
    method: M,
    args: Args<M>,
    hooks: SamplingHooks = noHooks,
  ): Promise<Awaited<ReturnType<Backend[M]>>> {
    if (this.#closed) return Promise.reject(closedError());
    const run = this.#backend[method] as (...all: unknown[]) => Promise<Awaited<ReturnType<Backend[M]>>>;
    const all = method === 'sample' ? [...args, hooks] : args;
    const result = this.#tail.then(() => run.apply(this.#backend, all));
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
    await this.#backend.disposeAll();
  }
}

/** Messages between the threads. */
export type ToWorker = { id: number; method: Method; args: unknown[]; tellTokens: boolean } | { abort: number };
export type FromWorker =
  | { id: number; value: unknown }
  | { id: number; error: WireError }
  | { id: number; progress: [done: number, total: number, tokens: number] }
  | { id: number; drawn: Int32Array };

/** An error as it crosses threads: structured cloning keeps neither class nor fields. */
export interface WireError {
  message: string;
  kind?: ErrorKind;
  where?: string;
  hint?: string;
  stack?: string;
}

/** How V8 and ONNX Runtime say that there was no memory to be had. */
const OUT_OF_MEMORY = /allocation failed|failed to allocate|bad_alloc/i;
const MEMORY_HINT = 'If memory ran out, use a smaller model, batch or context.';

export function toWire(error: unknown): WireError {
  if (!(error instanceof HoneError)) {
    if (OUT_OF_MEMORY.test(messageOf(error)))
      return { message: `out of memory (${messageOf(error)})`, kind: 'resource', hint: MEMORY_HINT };
    return { message: messageOf(error), stack: error instanceof Error ? error.stack : undefined };
  }
  const message = error.where ? error.message.slice(error.where.length + 2) : error.message;
  return { message, kind: error.kind, where: error.where, hint: error.hint };
}

export function fromWire({ message, kind, where, hint, stack }: WireError): Error {
  if (kind) return new HoneError(kind, message, { where, hint });
  const error = new Error(message);
  if (stack) error.stack = stack;
  return error;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  hooks: SamplingHooks;
}

const ABORT_POLL_MS = 50;

/** Runs a backend in a worker thread, so that the caller's thread stays free while graphs run. */
export class WorkerChannel implements Channel {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #failure: Error | undefined;

  constructor(options: BackendOptions) {
    this.#worker = new Worker(new URL('./thread.js', import.meta.url), { workerData: options });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(`the engine's thread failed: ${messageOf(error)}`));
    this.#worker.on('exit', (code) => this.#fail(`the engine's thread ended with code ${code}`));
    this.#worker.unref();
  }

  #receive(message: FromWorker): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if ('progress' in message) {
      pending.hooks.progress(...message.progress);
      return;
    }
    if ('drawn' in message) {
      pending.hooks.drawn?.(message.drawn);
      return;
    }
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('error' in message) pending.reject(fromWire(message.error));
    else pending.resolve(message.value);
  }

  #fail(why: string): void {
    this.#failure ??= new HoneError('resource', why, { hint: MEMORY_HINT });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }

  call<M extends Method>(
    method: M,
    args: Args<M>,
    hooks: SamplingHooks = noHooks,
  ): Promise<Awaited<ReturnType<Backend[M]>>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#next++;
    const reply = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject, hooks }));
    this.#worker.ref();
    this.#worker.postMessage({ id, method, args, tellTokens: hooks.drawn !== undefined } satisfies ToWorker);
    if (method !== 'sample') return reply as Promise<Awaited<ReturnType<Backend[M]>>>;
    const poll = setInterval(() => {
      if (hooks.aborted()) this.#worker.postMessage({ abort: id } satisfies ToWorker);
    }, ABORT_POLL_MS);
    return reply.finally(() => clearInterval(poll)) as Promise<Awaited<ReturnType<Backend[M]>>>;
  }

  async close(): Promise<void> {
    this.#failure = closedError();
    await this.#worker.terminate();
  }
}

/** Physical work units: ONNX Runtime gains nothing from more threads than the machine runs at once. */
export function defaultThreads(): number {
  return availableParallelism();
}
