/** The official client against our server, and ours against it: what one sends the other has to understand. */
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type ChatModel, EndpointChatModel, SamplerChatModel, ScriptedChatModel } from '../../src/engine/chat/index.js';
import {
  multiRound,
  type RunningServer,
  selfConsistency,
  type ServeOptions,
  startServer,
} from '../../src/thinking/index.js';
import { startServer as startUpstream, type TestServer } from '../support/openai-server.js';
import { textFolder, TextSampler } from '../support/text-model.js';
import { answers } from './support.js';

const running: (RunningServer | TestServer)[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await ('stop' in server ? server.stop() : server.close());
});

async function serve(model: ChatModel, more: Partial<ServeOptions> = {}) {
  const server = await startServer({ model, answers, port: 0, grace: 2, ...more });
  running.push(server);
  const client = new OpenAI({ baseURL: server.url, apiKey: more.apiKey ?? 'none', maxRetries: 0, logLevel: 'off' });
  return { server, client };
}

const thought = '<think>\nseven times six\n</think>\n\nIt is \\boxed{42}.';
const text = () =>
  new SamplerChatModel({ sampler: new TextSampler(() => thought), folder: textFolder(), name: 'tiny' });
const ask = (content = 'What is 6 * 7?') => [{ role: 'user' as const, content }];

/** What a member of a reply that the official types do not know holds. */
const reasoningOf = (value: object): string | undefined =>
  (value as { reasoning_content?: string }).reasoning_content ?? undefined;

describe('the official client', () => {
  it('gets whole answers, n of them, with thoughts apart and logprobs', async () => {
    const { client } = await serve(text());
    const reply = await client.chat.completions.create({
      ...{ model: 'tiny', messages: ask(), max_tokens: 100, n: 2, logprobs: true, seed: 1, temperature: 0.5 },
    });
    expect(reply.choices).toHaveLength(2);
    expect(reply.choices[1]).toMatchObject({
      index: 1,
      finish_reason: 'stop',
      message: { role: 'assistant', content: 'It is \\boxed{42}.' },
    });
    expect(reasoningOf(reply.choices[0]?.message ?? {})).toBe('seven times six');
    expect(reply.choices[0]?.logprobs?.content?.[0]).toMatchObject({ token: '<', logprob: -0.5 });
    expect(reply.usage?.completion_tokens).toBe(2 * (thought.length + 1));
  });

  it('gets streams', async () => {
    const { client } = await serve(text());
    const stream = await client.chat.completions.create({
      ...{ model: 'tiny', messages: ask(), max_tokens: 100, stream: true, stream_options: { include_usage: true } },
    });
    const seen = { content: '', reasoning: '', finish: '', tokens: 0 };
    for await (const { choices, usage } of stream) {
      seen.content += choices[0]?.delta.content ?? '';
      seen.reasoning += reasoningOf(choices[0]?.delta ?? {}) ?? '';
      seen.finish += choices[0]?.finish_reason ?? '';
      seen.tokens += usage?.completion_tokens ?? 0;
    }
    expect(seen).toEqual({
      ...{ content: 'It is \\boxed{42}.', reasoning: 'seven times six', finish: 'stop' },
      tokens: thought.length + 1,
    });
  });

  it('gets raw completions and the list of models', async () => {
    const { client } = await serve(text());
    const reply = await client.completions.create({ model: 'tiny', prompt: '[user]x[assistant]<thi', max_tokens: 3 });
    expect(reply.choices[0]).toMatchObject({ text: 'nk>', finish_reason: 'length' });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny']);
  });

  it('learns that an answer was cut', async () => {
    const { client } = await serve(text());
    const reply = await client.chat.completions.create({ model: 'tiny', messages: ask(), max_tokens: 12 });
    expect(reply.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: null } });
  });

  it.each([
    ['another model', { model: 'gpt', messages: ask() }, 404, /does not exist; there is: tiny/],
    ['no messages', { model: 'tiny', messages: [] }, 400, /messages/],
    [
      'tools',
      { model: 'tiny', messages: ask(), tools: [{ type: 'function' as const, function: { name: 'f' } }] },
      400,
      /tools/,
    ],
    ['too many answers', { model: 'tiny', messages: ask(), n: 65 }, 400, /at most 64/],
    ['a temperature that is none', { model: 'tiny', messages: ask(), temperature: -1 }, 400, /./],
  ])('is told what is wrong with %s', async (_, body, status, message) => {
    const { client } = await serve(text());
    const asked = client.chat.completions.create(body);
    await expect(asked).rejects.toMatchObject({ status, message: expect.stringMatching(message) });
  });
});

describe('a method behind the API', () => {
  it('streams its rounds as thoughts, and the settled answer as content', async () => {
    const model = new ScriptedChatModel(['I say \\boxed{1}.', 'No, \\boxed{42}.']);
    const { client } = await serve(model, { method: multiRound({ rounds: 2 }) });
    const stream = await client.chat.completions.create({ model: 'scripted', messages: ask(), stream: true });
    let [content, reasoning] = ['', ''];
    for await (const { choices } of stream) {
      content += choices[0]?.delta.content ?? '';
      reasoning += reasoningOf(choices[0]?.delta ?? {}) ?? '';
    }
    expect(content).toBe('No, \\boxed{42}.');
    expect(reasoning).toBe('[round 1 / answer]\nI say \\boxed{1}.\n\n[round 2 / answer]\nNo, \\boxed{42}.');
  });

  it('counts the tokens of every call', async () => {
    const model = new ScriptedChatModel(() => 'a b \\boxed{42}');
    const { client } = await serve(model, { method: selfConsistency({ n: 3 }) });
    const reply = await client.chat.completions.create({ model: 'scripted', messages: ask(), n: 2 });
    expect(reply.usage?.completion_tokens).toBe(2 * 3 * 3);
    expect(new Set(model.requests.map(({ seed }) => seed)).size).toBe(6);
  });

  it('answers one question, not a conversation', async () => {
    const { client } = await serve(new ScriptedChatModel([]), { method: multiRound({ rounds: 2 }) });
    const messages = [...ask(), { role: 'assistant' as const, content: 'x' }, ...ask()];
    const asked = client.chat.completions.create({ model: 'scripted', messages });
    await expect(asked).rejects.toMatchObject({ status: 400, message: expect.stringMatching(/one user message/) });
  });
});

describe('a model of this machine', () => {
  it('streams tokens as they are drawn', async () => {
    const { client } = await serve(text());
    const stream = await client.chat.completions.create({
      model: 'tiny',
      messages: ask(),
      max_tokens: 100,
      stream: true,
    });
    const pieces: string[] = [];
    for await (const { choices } of stream) if (choices[0]?.delta.content) pieces.push(choices[0].delta.content);
    expect(pieces).toEqual([...'It is \\boxed{42}.']);
  });

  it('streams raw text, tags and all', async () => {
    const { client } = await serve(text());
    const prompt = '[user]What?[assistant]';
    const stream = await client.completions.create({ model: 'tiny', prompt, max_tokens: 100, stream: true });
    let seen = '';
    let finish: string | null = null;
    for await (const { choices } of stream) {
      seen += choices[0]?.text ?? '';
      finish = choices[0]?.finish_reason ?? finish;
    }
    expect([seen, finish]).toEqual([thought, 'stop']);
  });
});

describe('before an upstream', () => {
  it('passes streams on, and its faults as they are', async () => {
    const upstream = await startUpstream({
      answer: () => ({ choices: [{ reasoning: 'hm', content: 'forty-two' }], usage: [3, 9] }),
      fault: ({ number }) =>
        number === 1
          ? { kind: 'status', status: 400, body: { error: { message: 'maximum context length is 5 tokens' } } }
          : undefined,
    });
    running.push(upstream);
    const { client } = await serve(new EndpointChatModel({ url: upstream.url, model: 'test' }));
    const first = client.chat.completions.stream({ model: 'test', messages: ask() });
    expect((await first.finalChatCompletion()).choices[0]?.message.content).toBe('forty-two');
    const second = client.chat.completions.create({ model: 'test', messages: ask() });
    await expect(second).rejects.toMatchObject({ status: 400, message: expect.stringMatching(/context/) });
  });

  it('leaves out what the reader has when an answer breaks off and comes again', async () => {
    const upstream = await startUpstream({
      answer: () => ({ choices: [{ reasoning: 'a long thought', content: 'the answer is forty-two' }] }),
      fault: ({ number }) => (number < 2 ? { kind: 'cut', after: 3 + number } : undefined),
    });
    running.push(upstream);
    const retry = { firstWait: 0.001, longestWait: 0.002 };
    const { client } = await serve(new EndpointChatModel({ url: upstream.url, model: 'test', retry }));
    const stream = await client.chat.completions.create({ model: 'test', messages: ask(), stream: true });
    const seen = { content: '', reasoning: '' };
    for await (const { choices } of stream) {
      seen.content += choices[0]?.delta.content ?? '';
      seen.reasoning += reasoningOf(choices[0]?.delta ?? {}) ?? '';
    }
    expect(seen).toEqual({ content: 'the answer is forty-two', reasoning: 'a long thought' });
    expect(upstream.requests).toHaveLength(3);
  });

  it('ends a stream with an error when the second attempt says something else', async () => {
    const upstream = await startUpstream({
      answer: ({ number }) => ({ choices: [{ content: `attempt number ${number}: forty-two, or so` }] }),
      fault: ({ number }) => (number === 0 ? { kind: 'cut', after: 4 } : undefined),
    });
    running.push(upstream);
    const retry = { firstWait: 0.001, longestWait: 0.002 };
    const { client } = await serve(new EndpointChatModel({ url: upstream.url, model: 'test', retry }));
    const stream = await client.chat.completions.create({ model: 'test', messages: ask(), stream: true });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow(/began differently/);
  });

  it('is an endpoint for our own client as well', async () => {
    const { server } = await serve(text(), { apiKey: 'k' });
    const model = new EndpointChatModel({ url: server.url, model: 'tiny', apiKey: 'k' });
    await model.check();
    const { choices } = await model.complete({ messages: ask(), maxTokens: 100, n: 2, logprobs: true });
    expect(choices.map(({ content, reasoning }) => [content, reasoning])).toEqual(
      [1, 2].map(() => ['It is \\boxed{42}.', 'seven times six']),
    );
  });
});

/** A model whose answers wait until they are let go. */
function slow() {
  const waiting: (() => void)[] = [];
  const model = new ScriptedChatModel(() => 'done');
  const answer = model.complete.bind(model);
  let aborted = 0;
  model.complete = async (request, options) => {
    await new Promise<void>((resolve, reject) => {
      waiting.push(resolve);
      options?.signal?.addEventListener('abort', () => (aborted++, reject(new Error('aborted'))));
    });
    return answer(request, options);
  };
  return { model, release: () => waiting.splice(0).forEach((resolve) => resolve()), abortedCount: () => aborted };
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('limits', () => {
  it('demands the key', async () => {
    const { server } = await serve(text(), { apiKey: 'secret' });
    const wrong = new OpenAI({ baseURL: server.url, apiKey: 'wrong', maxRetries: 0, logLevel: 'off' });
    await expect(wrong.models.list()).rejects.toMatchObject({ status: 401 });
  });

  it('refuses to be reached by others without one', async () => {
    await expect(startServer({ model: text(), answers, host: '0.0.0.0' })).rejects.toMatchObject({ kind: 'usage' });
  });

  it('refuses what is too much at once, and says when to come back', async () => {
    const { model, release } = slow();
    const { server, client } = await serve(model, { maxRequests: 1 });
    const first = client.chat.completions.create({ model: 'scripted', messages: ask() });
    await until(() => server.active === 1);
    const body = JSON.stringify({ messages: ask() });
    const second = await fetch(`${server.url}/chat/completions`, {
      ...{ method: 'POST', body, headers: { 'content-type': 'application/json' } },
    });
    expect([second.status, second.headers.get('retry-after')]).toEqual([429, '1']);
    release();
    await expect(first).resolves.toBeDefined();
  });

  it('refuses a body that is too long', async () => {
    const { client } = await serve(text(), { maxBody: 2000 });
    const asked = client.chat.completions.create({ model: 'tiny', messages: ask('x'.repeat(3000)) });
    await expect(asked).rejects.toMatchObject({ status: 413 });
  });

  it('ends the work of a client that has gone away', async () => {
    const { model, abortedCount } = slow();
    const { server, client } = await serve(model);
    const controller = new AbortController();
    const asked = client.chat.completions.create(
      { model: 'scripted', messages: ask(), stream: true },
      { signal: controller.signal },
    );
    const left = asked.then(async (stream) => {
      for await (const _ of stream);
    });
    await until(() => server.active === 1);
    controller.abort();
    await left.catch(() => undefined);
    await until(() => server.active === 0);
    expect(abortedCount()).toBe(1);
  });

  it('finishes what is under way when it stops, and takes no more', async () => {
    const { model, release } = slow();
    const { server, client } = await serve(model);
    const first = client.chat.completions.create({ model: 'scripted', messages: ask() });
    await until(() => server.active === 1);
    const stopped = server.stop();
    const second = client.chat.completions.create({ model: 'scripted', messages: ask() });
    await expect(second).rejects.toMatchObject({ status: 503 });
    release();
    expect((await first).choices[0]?.message.content).toBe('done');
    await stopped;
    running.splice(0);
  });
});
