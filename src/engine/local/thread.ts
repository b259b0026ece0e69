import { parentPort, workerData } from 'node:worker_threads';
import { InlineChannel, toWire, type FromWorker, type ToWorker } from './channel.js';
import type { BackendOptions } from './backend.js';

/** Entry of the worker thread: carries messages to an inline channel and back. */

const port = parentPort;
if (!port) throw new Error('engine/local/thread is the entry of a worker thread');

const channel = new InlineChannel(workerData as BackendOptions);
const aborted = new Set<number>();

/** Progress is for people: telling each reply that ends would take a percent of a small model's time. */
const PROGRESS_MS = 50;

/** Less is copied: to hand memory over costs more than to copy a few numbers. */
const LEAST_BYTES = 2 ** 14;

/** The memory behind a result, handed over instead of copied. */
function buffersOf(value: unknown, found: ArrayBuffer[] = []): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value;
    const whole = buffer instanceof ArrayBuffer && byteLength === buffer.byteLength;
    if (whole && byteLength >= LEAST_BYTES) found.push(buffer);
  } else if (Array.isArray(value)) value.forEach((item) => buffersOf(item, found));
  else if (value && typeof value === 'object') Object.values(value).forEach((item) => buffersOf(item, found));
  return found;
}

port.on('message', (message: ToWorker) => {
  if ('abort' in message) {
    aborted.add(message.abort);
    return;
  }
  const { id, method, args, tellTokens } = message;
  const send = (reply: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(reply, transfer);
  let told = -Infinity;
  const progress = (done: number, total: number, tokens: number): void => {
    const now = performance.now();
    if (done < total && now - told < PROGRESS_MS) return;
    told = now;
    send({ id, progress: [done, total, tokens] });
  };
  const hooks = {
    aborted: () => aborted.has(id),
    progress,
    ...(tellTokens ? { drawn: (drawn: Int32Array) => send({ id, drawn }, buffersOf(drawn)) } : {}),
  };
  channel
    .call(method, args as never, hooks)
    .then(
      (value) => send({ id, value }, buffersOf(value)),
      (error: unknown) => send({ id, error: toWire(error) }),
    )
    .finally(() => aborted.delete(id));
});
