import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RandomStream } from '../../../src/core/index.js';
import {
  EndpointChatModel,
  type EndpointOptions,
  ReplyCache,
  retryAfterSeconds,
  waitBefore,
  DEFAULT_RETRY,
} from '../../../src/engine/chat/index.js';
import { type Fault, type ServerOptions, startServer, type TestServer } from '../../support/openai-server.js';

const RETRY = { firstWait: 0.001, longestWait: 0.004 };
const ask = (content = 'hi') => ({ messages: [{ role: 'user' as const, content }], maxTokens: 20 });

let folder: string;
let server: TestServer;
const opened: EndpointChatModel[] = [];

beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hone-chat-'))));
afterEach(async () => {
  await Promise.all(opened.splice(0).map((model) => model.close()));
  await server.close();
  await rm(folder, { recursive: true });
});

async function start(options: Partial<ServerOptions> = {}, endpoint: Partial<EndpointOptions> = {}) {
  server = await startServer({
    answer: ({ body }) => ({ choices: [{ content: `you said ${JSON.stringify(body['messages'])}` }], usage: [3, 4] }),
    ...options,
  });
  const model = new EndpointChatModel({ url: server.url, model: 'test', retry: RETRY, timeout: 5, ...endpoint });
  opened.push(model);
  return model;
}

describe('what is sent', () => {
  it('is the request as the chat API has it', async () => {
    const model = await start({}, { extra: { top_k: 5 } });
    await model.complete({
      ...{ ...ask(), temperature: 0.6, topP: 0.95, n: 1, seed: 2 ** 40 + 3, stop: ['\n'], logprobs: true },
      extra: { chat_template_kwargs: { enable_thinking: false } },
    });
    expect(server.requests[0]?.body).toEqual({
      model: 'test',
      messages: [{ role: 'user', content: 'hi' }],
      ...{ max_tokens: 20, temperature: 0.6, top_p: 0.95, stop: ['\n'], seed: (2 ** 40 + 3) % 0x7fffffff },
      logprobs: true,
      chat_template_kwargs: { enable_thinking: false },
      top_k: 5,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('carries the key, and an address without a path gets /v1', async () => {
    const model = await start({ apiKey: 'secret' });
    const withKey = new EndpointChatModel({ url: server.url.replace('/v1', ''), model: 'test', apiKey: 'secret' });
    await expect(withKey.complete(ask())).resolves.toBeDefined();
    await expect(model.complete(ask())).rejects.toMatchObject({ fault: 'auth', kind: 'usage' });
    expect(JSON.stringify(withKey.identity)).not.toContain('secret');
  });

  it('carries tools and their calls', async () => {
    const call = { id: 'c1', name: 'add', arguments: '{"a":1}' };
    const model = await start({
      answer: () => ({ choices: [{ content: null, finish: 'tool_calls', toolCalls: [call] }] }),
    });
    const { choices } = await model.complete({ ...ask(), tools: [{ name: 'add', parameters: { type: 'object' } }] });
    expect(choices).toMatchObject([{ finish: 'tool_calls', toolCalls: [call] }]);
    expect(server.requests[0]?.body['tools']).toEqual([
      { type: 'function', function: { name: 'add', parameters: { type: 'object' } } },
    ]);
  });
});

describe('a server that draws one answer, whatever n says', () => {
  const one = {
    answer: ({ body }: { body: Record<string, unknown> }) => ({
      choices: [{ content: `seed ${String(body['seed'])}` }],
    }),
  };

  it.each([true, false])('is asked for the others apart, with seeds of their own (stream: %s)', async (stream) => {
    const model = await start(one, { stream });
    const told: number[] = [];
    const request = { ...ask(), n: 3, seed: 9 };
    const { choices, usage } = await model.complete(request, { onDelta: ({ choice }) => told.push(choice) });
    expect(choices[0]?.content).toBe('seed 9');
    expect(new Set(choices.map(({ content }) => content)).size).toBe(3);
    expect(usage).toEqual({ promptTokens: 30, completionTokens: 15, estimated: false });
    expect(new Set(told)).toEqual(new Set([0, 1, 2]));
    expect(model.spending).toMatchObject({ completionTokens: 15, lostTokens: 5, lostReplies: 1 });
    const before = server.requests.length;
    expect((await model.complete(request)).choices).toEqual(choices);
    expect(server.requests.length - before).toBe(3);
  });

  it('has its answers kept apart too', async () => {
    const model = await start(one, { cache: await ReplyCache.open(folder) });
    const { choices } = await model.complete({ ...ask(), n: 2 });
    const before = server.requests.length;
    expect((await model.complete({ ...ask(), n: 2 })).choices).toEqual(choices);
    expect(server.requests).toHaveLength(before);
  });
});

const FAULTS: [string, Fault][] = [
  ['429', { kind: 'status', status: 429, retryAfter: '0.01' }],
  ['408', { kind: 'status', status: 408 }],
  ['500', { kind: 'status', status: 500 }],
  ['503', { kind: 'status', status: 503 }],
  ['a hang', { kind: 'hang' }],
  ['a cut stream', { kind: 'cut', after: 3 }],
  ['malformed JSON', { kind: 'malformed' }],
  ['an empty answer', { kind: 'empty' }],
  ['no choices', { kind: 'no-choices' }],
];

describe.each([true, false])('faults that go away (stream: %s)', (stream) => {
  it.each(FAULTS)('%s is tried again', async (_, fault) => {
    const model = await start({ fault: ({ number }) => (number < 2 ? fault : undefined) }, { stream, timeout: 0.2 });
    const { choices } = await model.complete(ask());
    expect(choices[0]?.content).toContain('you said');
    expect(server.requests).toHaveLength(3);
    expect(model.spending).toMatchObject({ requests: 3, retries: 2 });
  });
});

describe('faults that stay', () => {
  it.each<[string, Fault, string]>([
    ['a refused request', { kind: 'status', status: 400, body: { error: { message: 'bad' } } }, 'refused'],
    [
      'a context overflow',
      { kind: 'status', status: 400, body: { error: { message: "This model's maximum context length is 10 tokens" } } },
      'context',
    ],
    ['a missing model', { kind: 'status', status: 404, body: { error: { message: 'model x not found' } } }, 'no-model'],
    ['a missing route', { kind: 'status', status: 404, body: { error: { message: 'nope' } } }, 'no-route'],
    ['no logprobs', { kind: 'status', status: 400, body: { error: { message: 'logprobs unsupported' } } }, 'refused'],
  ])('%s is not tried again', async (_, fault, expected) => {
    const model = await start({ fault: () => fault });
    await expect(model.complete(ask())).rejects.toMatchObject({ fault: expected });
    expect(server.requests).toHaveLength(1);
  });

  it('gives up after the last attempt, and says so', async () => {
    const model = await start({ fault: () => ({ kind: 'status', status: 500 }) }, { retry: { ...RETRY, retries: 2 } });
    await expect(model.complete(ask())).rejects.toThrow(/given up after 3 attempts/);
    expect(server.requests).toHaveLength(3);
  });

  it('takes an answer that stays empty as what the model said', async () => {
    const model = await start({ fault: () => ({ kind: 'empty' }) }, { retry: { ...RETRY, emptyRetries: 2 } });
    expect((await model.complete(ask())).choices).toMatchObject([{ content: '', finish: 'stop' }]);
    expect(server.requests).toHaveLength(3);
  });

  it("does not take an empty answer for the model's own because other faults came before", async () => {
    const before: Fault[] = [...new Array<Fault>(4).fill({ kind: 'status', status: 500 }), { kind: 'empty' }];
    const model = await start({ fault: ({ number }) => before[number] }, { retry: { ...RETRY, emptyRetries: 2 } });
    expect((await model.complete(ask())).choices[0]?.content).toContain('you said');
    expect(server.requests).toHaveLength(6);
  });

  it('names what keeps the server from being reached', async () => {
    await start();
    await server.close();
    const model = new EndpointChatModel({ url: server.url, model: 'test', retry: { ...RETRY, retries: 0 } });
    await expect(model.check()).rejects.toMatchObject({
      fault: 'unreachable',
      message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  it('finds a model that the server lacks before any work', async () => {
    await start({ models: ['qwen3-8b'] });
    const model = new EndpointChatModel({ url: server.url, model: 'qwen-8b' });
    await expect(model.check()).rejects.toMatchObject({ fault: 'no-model', hint: expect.stringMatching(/qwen3-8b/) });
  });

  it('refuses what is no address', () => {
    expect(() => new EndpointChatModel({ url: 'localhost:8000', model: 'x' })).toThrow(/no http address/);
  });
});

describe('accounts', () => {
  it('counts a cut stream as paid and lost', async () => {
    const model = await start({ fault: ({ number }) => (number === 0 ? { kind: 'cut', after: 4 } : undefined) });
    await model.complete(ask());
    expect(model.spending).toMatchObject({ lostReplies: 1, lostTokens: 3, completionTokens: 4 });
  });

  it('stops at the budget, and keeps what was answered', async () => {
    const model = await start({}, { budget: { tokens: 10 } });
    await model.complete(ask('a'));
    await model.complete(ask('b'));
    await expect(model.complete(ask('c'))).rejects.toMatchObject({ fault: 'budget' });
    expect(server.requests).toHaveLength(2);
  });

  it('reckons money by the prices', async () => {
    const prices = { promptPerMillion: 1e6, completionPerMillion: 2e6 };
    const model = await start({}, { budget: { money: 11, prices } });
    await model.complete(ask('a'));
    expect(model.spending.money).toBe(3 + 2 * 4);
    await expect(model.complete(ask('b'))).rejects.toMatchObject({ fault: 'budget' });
  });
});

describe('waiting', () => {
  it('doubles, keeps within its bounds, and is a pure function of the seed', () => {
    for (let attempt = 1; attempt < 12; attempt++) {
      const full = Math.min(DEFAULT_RETRY.longestWait, DEFAULT_RETRY.firstWait * 2 ** (attempt - 1));
      const wait = waitBefore(attempt, DEFAULT_RETRY, new RandomStream(7, 'retry', 'key'));
      expect(wait).toBeGreaterThanOrEqual(full / 2);
      expect(wait).toBeLessThan(full);
      expect(waitBefore(attempt, DEFAULT_RETRY, new RandomStream(7, 'retry', 'key'))).toBe(wait);
    }
  });

  it('is no shorter than the server asked for', () => {
    expect(waitBefore(1, DEFAULT_RETRY, new RandomStream(1, 'x'), 30)).toBeGreaterThanOrEqual(30);
    expect(retryAfterSeconds('12', 0)).toBe(12);
    expect(retryAfterSeconds('Thu, 01 Jan 1970 00:00:20 GMT', 5000)).toBe(15);
    expect(retryAfterSeconds('soon', 0)).toBeUndefined();
  });

  it('runs no more requests at once than it may', async () => {
    let now = 0;
    let most = 0;
    const answer = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      return { choices: [{ content: 'x' }] };
    };
    const model = await start({ answer }, { concurrency: 3 });
    await Promise.all(Array.from({ length: 12 }, (_, i) => model.complete(ask(String(i)))));
    expect(most).toBe(3);
  });
});

describe('the cache', () => {
  const open = () => ReplyCache.open(folder);

  it('answers without the server, also after it was closed', async () => {
    const model = await start({}, { cache: await open() });
    const first = await model.complete(ask());
    expect(await model.complete(ask())).toEqual(first);
    await model.close();
    opened.splice(0);
    const again = new EndpointChatModel({ url: server.url, model: 'test', cache: await open() });
    opened.push(again);
    expect(await again.complete(ask())).toEqual(first);
    expect(server.requests).toHaveLength(1);
  });

  it('asks once for what several want at once, and apart for separate draws', async () => {
    const model = await start({}, { cache: await open() });
    await Promise.all([model.complete(ask()), model.complete(ask()), model.complete({ ...ask(), draw: 1 })]);
    expect(server.requests).toHaveLength(2);
  });

  it('tells requests apart by every setting', async () => {
    const model = await start({}, { cache: await open() });
    const variants = [{}, { seed: 1 }, { temperature: 0 }, { n: 2 }, { stop: ['a'] }, { extra: { x: 1 } }];
    for (const variant of variants) await model.complete({ ...ask(), ...variant }).catch(() => undefined);
    expect(new Set(server.requests.map(({ body }) => JSON.stringify(body))).size).toBe(variants.length);
  });

  it('passes over a torn end and damage, and never writes to that file again', async () => {
    const model = await start({}, { cache: await open() });
    await model.complete(ask('a'));
    await model.complete(ask('b'));
    await model.close();
    opened.splice(0);
    const [name] = await readdir(folder);
    const file = join(folder, name as string);
    const [first, second] = (await readFile(file, 'utf8')).split('\n') as [string, string];
    const torn = `${first}\n{"key": 1}\n${second.slice(0, -9)}`;
    await writeFile(file, torn);
    const cache = await open();
    expect([cache.size, cache.damagedLines]).toEqual([1, 2]);
    const again = new EndpointChatModel({ url: server.url, model: 'test', cache });
    opened.push(again);
    await again.complete(ask('a'));
    await again.complete(ask('b'));
    expect(server.requests).toHaveLength(3);
    expect(await readFile(file, 'utf8')).toBe(torn);
  });

  it('is shared by two writers', async () => {
    const [one, two] = [await open(), await open()];
    const reply = {
      choices: [{ content: 'x', reasoning: undefined, raw: 'x', finish: 'stop' as const, tokens: 1 }],
      usage: { promptTokens: 1, completionTokens: 1, estimated: false },
      model: 'm',
    };
    await Promise.all([one.put('a', reply), two.put('b', reply), one.put('c', reply)]);
    await Promise.all([one.close(), two.close()]);
    const all = await open();
    expect(all.size).toBe(3);
    expect(await all.get('b')).toEqual(reply);
    await all.close();
    await start();
  });
});
