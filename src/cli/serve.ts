import { type Answers, startServer, totals, withoutTiming } from '../thinking/index.js';
import { requireCapabilities } from '../engine/chat/index.js';
import { extractAnswer } from '../tasks/index.js';

import { type ChatModelOptions, usingChatModel } from './chat-model.js';
import type { Io } from './io.js';
import { methodOf } from './sandbox.js';
import { sameAnswer } from './solver.js';
import { plainText } from './text.js';
import { ThinkDisplay } from './think-display.js';

export interface ServeCommandOptions extends Omit<ChatModelOptions, 'endpoint'> {
  upstream?: string;
  think?: string;
  host: string;
  port: number;
  serveKey?: string;
  maxRequests: number;
  maxTokens: number;
  grace: number;
}

/** Answers of free questions: read by every rule, compared as numbers, else by writing. */
const FREE_ANSWERS: Answers = { extract: (text) => extractAnswer(text)?.answer, same: sameAnswer };

/** `hone serve`: runs until it is asked to stop. */
export async function runServe(options: ServeCommandOptions, io: Io): Promise<void> {
  const { upstream, host, port, serveKey, maxRequests, grace, seed } = options;
  const method = options.think === undefined ? undefined : methodOf(options.think);
  const concurrency = options.concurrency ?? Math.max(16, maxRequests);
  const asked = { ...options, concurrency, ...(upstream === undefined ? {} : { endpoint: upstream }) };
  await usingChatModel(asked, io, async (opened) => {
    if (method) requireCapabilities(opened.model, method.needs, `method ${method.name}`);
    const server = await startServer({
      ...{ model: opened.model, answers: FREE_ANSWERS, host, port, maxRequests, grace, seed },
      limits: { maxTokens: options.maxTokens },
      ...(method ? { method } : {}),
      ...(serveKey === undefined ? {} : { apiKey: serveKey }),
      onError: (line) => io.progress.note(plainText(line), 'warn'),
    });
    io.progress.end();
    io.result({ url: server.url, model: opened.model.name, method: method?.name ?? null }, () => {
      io.print(`${opened.model.name} at ${io.color.bold(server.url)}${method ? `, thinking by ${method.name}` : ''}`);
      io.print('Ctrl-C stops it; answers under way are finished first.');
    });
    await untilAborted(io.signal);
    io.progress.note('stopping');
    await server.stop();
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

export interface ThinkCommandOptions extends ChatModelOptions {
  method: string;
  temperature: number;
  topP?: number;
  maxTokens: number;
  system?: string;
}

/** `hone think`: one question, with what is thought on the way. */
export async function runThink(asked: string, options: ThinkCommandOptions, io: Io): Promise<void> {
  const { temperature, topP, maxTokens, system, seed } = options;
  const method = methodOf(options.method);
  await usingChatModel(options, io, async (opened) => {
    requireCapabilities(opened.model, method.needs, `method ${method.name}`);
    io.progress.end();
    const display = new ThinkDisplay({ write: io.write, dim: io.color.dim });
    const thought = await method.run(
      { prompt: asked, ...(system === undefined ? {} : { system }) },
      {
        ...{ model: opened.model, seed, answers: FREE_ANSWERS, signal: io.signal },
        sampling: { temperature, maxTokens, ...(topP === undefined ? {} : { topP }) },
        ...(io.json ? {} : { onEvent: (event) => display.on(event) }),
      },
    );
    const cost = totals(thought.transcript);
    const { text = null, answer = null, finish } = thought;
    const transcript = JSON.parse(JSON.stringify(withoutTiming(thought.transcript))) as Record<string, string>;
    const { calls, promptTokens, completionTokens } = cost;
    io.result({ text, answer, finish, method: method.name, calls, promptTokens, completionTokens, transcript }, () => {
      io.print(io.color.bold(answer === null ? 'No answer was found.' : `Answer: ${plainText(answer)}`));
      io.print(`${calls} calls, ${promptTokens} prompt tokens, ${completionTokens} generated`);
    });
  });
}
