/**
 * A server that answers after `argv[2]` seconds; sends its address to the process that forked it. With `argv[3]` its
 * streams have ten pieces so many seconds apart, and each piece says when it was written.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startServer } from '../tests/support/openai-server.js';

const latency = Number(process.argv[2] ?? 0) * 1000;
const pace = Number(process.argv[3] ?? 0) * 1000;
const PIECES = 10;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const chunk = (choice: object): string => `data: ${JSON.stringify({ id: 'x', model: 'test', choices: [choice] })}\n\n`;

async function paced(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    if (request.url?.endsWith('/models')) return void response.end('{"data":[{"id":"test"}]}');
    void (async () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let i = 0; i < PIECES; i++) {
        await wait(pace);
        const content = `${(performance.timeOrigin + performance.now()).toFixed(3)};`;
        response.write(chunk({ index: 0, delta: { content } }));
      }
      response.end(`${chunk({ index: 0, delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

async function plain(): Promise<string> {
  const server = await startServer({
    answer: async () => {
      if (latency > 0) await wait(latency);
      return { choices: [{ content: 'The answer is 42.' }], usage: [10, 5] };
    },
  });
  // Requests are kept for tests; here they would only fill memory.
  setInterval(() => server.requests.splice(0), 1000).unref();
  return server.url;
}

process.send?.(await (pace > 0 ? paced() : plain()));
