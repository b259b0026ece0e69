/** hone's client against a server that we did not write: llama-cpp-python's. */
import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { EndpointChatModel } from '../../src/engine/chat/index.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Whether Python has the server. */
function hasServer(python: string): Promise<boolean> {
  const child = spawn(python, ['-c', 'import llama_cpp.server.app'], { stdio: 'ignore' });
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}

async function listening(model: EndpointChatModel, seconds: number): Promise<void> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    try {
      await model.check();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const python = ctx.python as string;
  if (!(await hasServer(python)))
    return {
      status: 'skipped',
      detail: 'no llama_cpp.server in --python (pip install "llama-cpp-python[server]"); not shown: interop',
    };
  const port = await freePort();
  const args = ['-m', 'llama_cpp.server', '--model', ctx.smollm2 as string, '--port', String(port), '--n_ctx', '2048'];
  const child = spawn(python, [...args, '--logits_all', 'true', '--model_alias', 'smol'], { stdio: 'ignore' });
  try {
    const options = { url: `http://127.0.0.1:${port}/v1`, model: 'smol', concurrency: 1 };
    const model = new EndpointChatModel(options);
    await listening(model, 120);
    return await compare(model, new EndpointChatModel({ ...options, stream: false }), ctx);
  } finally {
    child.kill();
  }
}

async function compare(
  streaming: EndpointChatModel,
  whole: EndpointChatModel,
  ctx: CheckContext,
): Promise<CheckResult> {
  const messages = [{ role: 'user' as const, content: 'Name the capital of France in one sentence.' }];
  const greedy = { messages, maxTokens: 24, temperature: 0 };
  const [a, b] = [await streaming.complete(greedy), await whole.complete(greedy)];
  ctx.log(JSON.stringify(b));
  const scored = await whole.complete({ ...greedy, logprobs: true, extra: { top_logprobs: 1 } });
  const logprobs = scored.choices[0]?.logprobs ?? [];
  const drawn = await Promise.all(
    [1, 2, 3].map((seed) => whole.complete({ messages, maxTokens: 16, temperature: 1, seed, draw: seed })),
  );
  const wrong = [
    ...(a.choices[0]?.content === b.choices[0]?.content ? [] : ['streamed and whole answers differ']),
    ...(/paris/i.test(b.choices[0]?.content ?? '') ? [] : ['no Paris in the answer']),
    ...(logprobs.length > 0 && logprobs.every(({ logprob }) => logprob <= 0) ? [] : ['no logprobs']),
    ...(b.usage.completionTokens > 0 && !b.usage.estimated ? [] : ['no token counts']),
  ];
  // This server draws one answer, whatever n says: the client asks for the others apart.
  const several = await streaming.complete({ messages, maxTokens: 16, temperature: 1, seed: 5, n: 3 });
  if (several.choices.length !== 3) wrong.push(`${several.choices.length} of 3 answers`);
  const text = await whole.completeText('The capital of France is', { maxTokens: 8, temperature: 0 });
  if (!/paris/i.test(text.choices[0]?.raw ?? '')) wrong.push('no Paris in the completed text');
  const numbers = {
    logprobs: logprobs.length,
    draws: new Set(drawn.map(({ choices }) => choices[0]?.raw)).size,
    'n=3': new Set(several.choices.map(({ raw }) => raw)).size,
  };
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: wrong.join('; ') || 'whole and streamed answers, logprobs, n > 1, seeds, text completion',
    numbers,
  };
}

const check: Check = {
  name: 'chat-interop',
  shows:
    "3: hone's client works against llama-cpp-python's server: whole and streamed answers, logprobs, n > 1, text completion",
  needs: ['python', 'smollm2'],
  run,
};
export default check;
