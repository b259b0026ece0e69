/** How much time and memory the client and the proxy add. The upstream is a process of its own. */
import { fork, spawn } from 'node:child_process';
import path from 'node:path';
import { type ChatDelta, EndpointChatModel, mapBounded } from '../../src/engine/chat/index.js';
import { MAIN } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const REQUESTS = 5000;
const CONCURRENCY = 500;
const PROMPTS = 100_000;
const STREAMS = 100;
/** A stream has ten pieces, so far apart: ten tokens a second, as a busy server gives. */
const PIECE_SECONDS = 0.1;

interface Upstream {
  url: string;
  stop: () => void;
}

/** The upstream of verify/upstream.ts, which waits `latency` seconds before every answer, and `pace` before every piece. */
function upstream(latency: number, pace = 0): Promise<Upstream> {
  const child = fork(path.resolve(import.meta.dirname, '../upstream.ts'), [String(latency), String(pace)], {
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

/** Milliseconds that pieces of 100 streams side by side took from being written to being read. */
async function pieceDelays(url: string): Promise<number[]> {
  const model = new EndpointChatModel({ url, model: 'test', concurrency: STREAMS });
  const delays: number[] = [];
  const listen = ({ text }: ChatDelta): void => {
    const now = performance.timeOrigin + performance.now();
    for (const [, sent] of text.matchAll(/(\d+\.\d+);/g)) delays.push(now - Number(sent));
  };
  const one = async (i: number): Promise<void> => {
    // Streams begin one after the other, as users do, and then run side by side.
    await new Promise((resolve) => setTimeout(resolve, (i * PIECE_SECONDS * 1000) / STREAMS));
    await model.complete(ask(`${i}`), { onDelta: listen });
  };
  await Promise.all(Array.from({ length: STREAMS }, (_, i) => one(i)));
  return delays;
}

const median = (values: readonly number[]): number =>
  [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] as number;

/** What `hone serve`, a process of its own, adds to the median delay of a piece, in ms. */
async function proxyCost(ctx: CheckContext): Promise<number> {
  const server = await upstream(0, PIECE_SECONDS);
  const args = [
    'serve',
    '--upstream',
    server.url,
    '--model-name',
    'test',
    '--port',
    '0',
    '--max-requests',
    '200',
    '--json',
  ];
  const proxy = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      proxy.once('error', reject);
      proxy.stdout.once('data', (line: Buffer) => resolve((JSON.parse(String(line)) as { url: string }).url));
    });
    await pieceDelays(server.url); // Both ways are warm before they are measured.
    await pieceDelays(url);
    const direct = median(await pieceDelays(server.url));
    const through = median(await pieceDelays(url));
    ctx.log(`a piece takes ${direct.toFixed(1)} ms without and ${through.toFixed(1)} ms with the proxy`);
    return through - direct;
  } finally {
    proxy.kill();
    server.stop();
  }
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const ratio = await throughput();
  ctx.log(`${REQUESTS} requests of 1 s at ${CONCURRENCY}: ${ratio.toFixed(3)} x ideal`);
  const added = await proxyCost(ctx);
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
