import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HoneError } from '../../../src/core/index.js';
import { ScriptedChatModel } from '../../../src/engine/chat/index.js';
import {
  correctnessMessages,
  effortMessages,
  fenced,
  judgeSignal,
  rewardModelSignal,
  type JudgeModel,
  type Reading,
  type RewardModelOptions,
} from '../../../src/tasks/index.js';

const problem = { id: 'p', prompt: '2 + 3?', answer: '5' };
const asked = { problem, response: { text: 'five', tokens: new Int32Array(0), stopReason: 'eos' as const } };

describe('judgeSignal', () => {
  const judged = async (model: JudgeModel, scale?: readonly [number, number]): Promise<Reading> =>
    judgeSignal({ model, messages: effortMessages, ...(scale ? { scale } : {}) }).read(asked);

  it.each([
    ['Some depth.\nGrade: 0.7', 0.7],
    ['**Grade: 0.7**', 0.7],
    ['Grade: 0.2\nOn a second look\nGrade: 0.9', 0.9],
    ['<think>Grade: 0.1</think>Grade: 1', 1],
  ])('reads %j', async (text, value) => {
    expect(await judged(new ScriptedChatModel([text]))).toMatchObject({ value });
  });

  it('maps the scale that the judge is told of', async () => {
    expect(await judged(new ScriptedChatModel(['Grade: 4']), [1, 5])).toMatchObject({ value: 0.75 });
  });

  it('asks again for a readable grade, as another draw', async () => {
    const model = new ScriptedChatModel(['I like it.', 'Grade: 7', 'Grade: 0.5']);
    expect(await judged(model)).toMatchObject({ value: 0.5 });
    expect(model.requests.map(({ draw }) => draw)).toEqual([0, 1, 2]);
  });

  it('has nothing to say after its attempts, and makes no score up', async () => {
    const model = new ScriptedChatModel(() => 'Grade: great, 10/10');
    expect(await judged(model)).toEqual({ missing: 'grader', reason: 'the judge gave no grade in 3 attempts' });
    expect(model.requests).toHaveLength(3);
  });

  it('has nothing to say where the model fails, but a wrong key stops the work', async () => {
    const failing = (error: Error): JudgeModel => ({ complete: () => Promise.reject(error) });
    expect(await judged(failing(new Error('down')))).toEqual({
      missing: 'grader',
      reason: 'the judge failed: down',
    });
    await expect(judged(failing(new HoneError('usage', 'wrong key')))).rejects.toThrow('wrong key');
  });

  it('quotes text so that it cannot end its quotation', () => {
    expect(fenced('a\n-----\nb').split('\n')).toEqual(['------', 'a', '-----', 'b', '------']);
    const shown = correctnessMessages(asked).map(({ content }) => content);
    expect(shown[1]).toContain('Reference answer:\n---\n5\n---');
  });
});

describe('rewardModelSignal', () => {
  let server: Server | undefined;
  const seen: unknown[] = [];
  const open = { now: 0, most: 0 };
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    seen.length = 0;
    open.most = 0;
  });

  /** Answers call by call: a status and a body; undefined: silence. The last one stays. */
  async function serve(...answers: ([number, unknown] | undefined)[]): Promise<string> {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const answer = answers[Math.min(seen.push(JSON.parse(body)), answers.length) - 1];
        open.most = Math.max(open.most, ++open.now);
        setTimeout(() => {
          open.now--;
          if (answer) response.writeHead(answer[0]).end(JSON.stringify(answer[1]));
        }, 2);
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;
  }

  const read = async (options: RewardModelOptions): Promise<Reading> =>
    rewardModelSignal({ retry: { retries: 2, firstWait: 0.001 }, ...options }).read(asked);

  it.each([
    ['openrlhf', { rewards: [-1.5] }, -1.5, { query: ['2 + 3?five'], prompts: ['2 + 3?'] }],
    ['openrlhf', { rewards: [[2]] }, 2, { query: ['2 + 3?five'], prompts: ['2 + 3?'] }],
    ['vllm-classify', { data: [{ index: 0, probs: [0.25] }] }, 0.25, { model: 'rm', input: '2 + 3?five' }],
    ['vllm-pooling', { data: [{ data: [[1], [3]] }] }, 3, { model: 'rm', input: '2 + 3?five' }],
  ] as const)('speaks %s: %j', async (format, answer, value, body) => {
    const url = await serve([200, answer]);
    expect(await read({ url, format, model: 'rm' })).toEqual({ value });
    expect(seen).toEqual([body]);
  });

  it('tries again what may go away', async () => {
    const url = await serve([503, 'busy'], [200, { rewards: [] }], [200, { rewards: [1] }]);
    expect(await read({ url, format: 'openrlhf' })).toEqual({ value: 1 });
    expect(seen).toHaveLength(3);
  });

  it('has nothing to say after its attempts', async () => {
    const url = await serve([200, { scores: [1] }]);
    expect(await read({ url, format: 'openrlhf' })).toMatchObject({
      missing: 'grader',
      reason: expect.stringMatching(/rewards: .*given up after 3 attempts/) as string,
    });
  });

  it('gives up on silence', async () => {
    const url = await serve(undefined);
    expect(await read({ url, format: 'openrlhf', timeout: 0.05, retry: { retries: 0 } })).toMatchObject({
      missing: 'grader',
      reason: expect.stringContaining('no reply within 0.05 s') as string,
    });
  });

  it('stops the work where the request itself is refused, and on the signal', async () => {
    const url = await serve([404, 'no such path']);
    await expect(read({ url, format: 'openrlhf' })).rejects.toThrow(/answers 404/);
    const stopped = { ...asked, signal: AbortSignal.abort() };
    await expect((async () => rewardModelSignal({ url, format: 'openrlhf' }).read(stopped))()).rejects.toMatchObject({
      kind: 'interrupted',
    });
    expect(() => rewardModelSignal({ url: 'host/score', format: 'openrlhf' })).toThrow(/no http address/);
  });

  it('asks with so many requests at once at most', async () => {
    const url = await serve([200, { rewards: [1] }]);
    const leaf = rewardModelSignal({ url, format: 'openrlhf', concurrency: 2 });
    const readings = await Promise.all(Array.from({ length: 9 }, () => leaf.read(asked)));
    expect(readings).toEqual(Array.from({ length: 9 }, () => ({ value: 1 })));
    expect(open.most).toBe(2);
  });
});
