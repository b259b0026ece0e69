import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CachedChatModel, type ChatRequest, ReplyCache, ScriptedChatModel } from '../../../src/engine/chat/index.js';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hone-cached-'))));
afterEach(() => rm(folder, { recursive: true }));

const ask = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  ...{ messages: [{ role: 'user', content: 'go' }], temperature: 1, seed: 1 },
  ...more,
});

async function open(weights = 'a') {
  const inner = new ScriptedChatModel((_, call) => `<think>\nhm\n</think>\n\nanswer ${call}`);
  const model = new CachedChatModel({ model: inner, cache: await ReplyCache.open(folder), key: { weights } });
  return { inner, model };
}

describe('a local model with a cache', () => {
  it('says the same again, to the next process as well, and tells it as it tells a new one', async () => {
    const first = await open();
    const said = await first.model.complete(ask());
    expect(await first.model.complete(ask())).toEqual(said);
    await first.model.close();
    const second = await open();
    const told: string[] = [];
    const attempts: number[] = [];
    const again = await second.model.complete(ask(), {
      onDelta: ({ kind, text }) => told.push(`${kind}: ${text}`),
      onTiming: (timing) => attempts.push(timing.attempts),
    });
    expect(again).toEqual(said);
    expect([told, attempts]).toEqual([['reasoning: hm', 'content: answer 0'], [0]]);
    expect([first.inner.requests.length, second.inner.requests.length]).toEqual([1, 0]);
    await second.model.close();
  });

  it('tells requests apart by seed, settings, draw and weights', async () => {
    const { inner, model } = await open();
    for (const more of [{}, { seed: 2 }, { draw: 1 }, { maxTokens: 5 }, { stop: ['x'] }])
      await model.complete(ask(more));
    expect(inner.requests).toHaveLength(5);
    await model.close();
    const other = await open('b');
    await other.model.complete(ask());
    expect(other.inner.requests).toHaveLength(1);
    await other.model.close();
  });

  it('knows that greedy decoding draws nothing', async () => {
    const { inner, model } = await open();
    await model.complete(ask({ temperature: 0, seed: 1 }));
    await model.complete(ask({ temperature: 0, seed: 2 }));
    expect(inner.requests).toHaveLength(1);
    await model.close();
  });
});
