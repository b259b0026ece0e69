/** How much time and memory the client and the proxy add. The upstream is a process of its own. */
import { fork } from 'node:child_process';
import path from 'node:path';
import { EndpointChatModel, mapBounded } from '../../src/engine/chat/index.js';
import { startServer } from '../../src/thinking/index.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const REQUESTS = 5000;
const CONCURRENCY = 500;
const PROMPTS = 100_000;
const STREAMS = 100;

interface Upstream {
  url: string;
  stop: () => void;
}

/** The upstream of verify/upstream.ts, which waits `latency` seconds before every answer. */
function upstream(latency: number): Promise<Upstream> {
  const child = fork(path.resolve(import.meta.dirname, '../upstream.ts'), [String(latency)], {
    execArgv: ['--import', 'tsx'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('message', (url) => resolve({ url: String(url), stop: () => void child.kill() }));
  });
}

const ask = (content: string) => ({ messages: [{ role: 'user' as const, content }], maxTokens: 16 });

async function throughput(): Promise<number> {
  const server = await upstream(1);
  const model = new EndpointChatModel({ url: server.url, model: 'test', concurrency: CONCURRENCY });
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, i) => model.complete(ask(`warm ${i}`))));
  const started = performance.now();
  const numbers = Array.from({ length: REQUESTS }, (_, i) => i);
  for await (const _ of mapBounded(numbers, CONCURRENCY, (i) => model.complete(ask(`question ${i}`))));
  const seconds = (performance.now() - started) / 1000;
  server.stop();
  return seconds / (REQUESTS / CONCURRENCY);
}

/** Heap after 100,000 prompts of 2 KB against the heap after the first 10,000, in MB. */
async function memory(ctx: CheckContext): Promise<{ early: number; late: number }> {
  const server = await upstream(0);
  const model = new EndpointChatModel({ url: server.url, model: 'test', concurrency: 64, stream: false });
  const prompts = (function* () {
    for (let i = 0; i < PROMPTS; i++) yield `${i} ${'x'.repeat(2000)}`;
  })();
  let done = 0;
  let early = 0;
  for await (const _ of mapBounded(prompts, 64, (prompt) => model.complete(ask(prompt)))) {
    if (++done === PROMPTS / 10) early = heap();
    if (done % 10_000 === 0) ctx.log(`${done} prompts: ${heap().toFixed(0)} MB`);
  }
  server.stop();
  return { early, late: heap() };
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

/** Median seconds to the first content of 100 streams at once. */
async function firstContent(url: string): Promise<number> {
  const model = new EndpointChatModel({ url, model: 'test', concurrency: STREAMS });
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      Array.from({ length: STREAMS }, async (_, i) => {
        const started = performance.now();
        let first: number | undefined;
        await model.complete(ask(`${round} ${i}`), { onDelta: () => (first ??= performance.now() - started) });
        if (round > 0) times.push(first ?? Infinity);
      }),
    );
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

/** What the proxy adds to the median, in ms; the upstream takes half a second, so that streams overlap. */
async function proxyCost(): Promise<number> {
  const server = await upstream(0.5);
  const model = new EndpointChatModel({ url: server.url, model: 'test', concurrency: STREAMS });
  const extract = (): undefined => undefined;
  const answers = { extract, same: (a: string, b: string) => a === b };
  const proxy = await startServer({ model, answers, port: 0, maxRequests: 2 * STREAMS });
  const direct = await firstContent(server.url);
  const through = await firstContent(proxy.url);
  await proxy.stop();
  server.stop();
  return through - direct;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const ratio = await throughput();
  ctx.log(`${REQUESTS} requests of 1 s at ${CONCURRENCY}: ${ratio.toFixed(3)} x ideal`);
  const added = await proxyCost();
  ctx.log(`the proxy adds ${added.toFixed(1)} ms`);
  const { early, late } = await memory(ctx);
  const numbers = {
    timeOverIdeal: ratio.toFixed(3),
    proxyAddsMs: added.toFixed(1),
    heapEarlyMB: early.toFixed(0),
    heapLateMB: late.toFixed(0),
  };
  const wrong = [
    ...(ratio <= 1.1 ? [] : [`${ratio.toFixed(2)} x ideal`]),
    ...(added <= 5 ? [] : [`the proxy adds ${added.toFixed(1)} ms`]),
    ...(late <= early + 50 ? [] : [`the heap grew from ${early.toFixed(0)} to ${late.toFixed(0)} MB`]),
  ];
  const detail = wrong.length === 0 ? 'the client keeps up, in bounded memory' : wrong.join('; ');
  return { status: wrong.length === 0 ? 'passed' : 'failed', detail, numbers };
}

const check: Check = {
  name: 'chat-load',
  shows:
    '5,000 requests of 1 s at concurrency 500 within 1.1 x ideal; bounded memory over 100,000 prompts; the proxy adds <= 5 ms median at 100 streams (quiet cores)',
  needs: [],
  run,
};
export default check;
