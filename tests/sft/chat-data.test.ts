import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import type { ChatMessage, TrainingChat } from '../../src/model/index.js';
import { readChatExamples } from '../../src/sft/index.js';

/** One token a character; role names are left out. */
function encode(messages: readonly ChatMessage[]): TrainingChat {
  if (messages.every(({ role }) => role !== 'assistant')) throw new HoneError('input', 'no assistant turn');
  const characters = messages.flatMap(({ role, content }) => [...content].map((c) => ({ c, role })));
  return {
    tokens: Int32Array.from(characters, ({ c }) => c.charCodeAt(0)),
    assistantMask: Uint8Array.from(characters, ({ role }) => (role === 'assistant' ? 1 : 0)),
  };
}

async function read(...lines: string[]) {
  const file = join(await mkdtemp(join(tmpdir(), 'hone-chat-')), 'chat.jsonl');
  await writeFile(file, lines.join('\n'));
  return readChatExamples(file, encode);
}

const good = JSON.stringify({
  messages: [
    { role: 'user', content: 'ab' },
    { role: 'assistant', content: 'c' },
  ],
});

describe('readChatExamples', () => {
  it('reads messages and prompt-response rows alike', async () => {
    const pair = JSON.stringify({ prompt: 'ab', response: 'c', source: 'x' });
    const [first, second] = await read(good, '', pair);
    expect([...first!.tokens]).toEqual([97, 98, 99]);
    expect([...Uint8Array.from(first!.mask as Uint8Array)]).toEqual([0, 0, 1]);
    expect(second!.tokens).toEqual(first!.tokens);
    expect(first!.where).toMatch(/chat\.jsonl:1$/);
    expect(second!.where).toMatch(/chat\.jsonl:3$/);
  });

  it.each([
    ['{"messages": [', /JSON/],
    ['{"messages": []}', /messages/],
    ['{"messages": [{"role": "narrator", "content": "x"}]}', /messages\.0\.role/],
    ['{"messages": [{"role": "user", "content": 3}]}', /messages\.0\.content/],
    ['{"prompt": "x"}', /either "messages", or "prompt" and "response"/],
    ['{"prompt": "x", "response": ""}', /response/],
    ['["x"]', /the row/],
    ['{"messages": [{"role": "user", "content": "x"}]}', /no assistant turn/],
  ])('refuses %s, naming file and line', async (line, message) => {
    await expect(read(good, line)).rejects.toMatchObject({
      kind: 'input',
      where: expect.stringMatching(/chat\.jsonl:2$/),
      message: expect.stringMatching(message),
    });
  });

  it('refuses an empty file', async () => {
    await expect(read('')).rejects.toMatchObject({ kind: 'input', message: expect.stringContaining('no rows') });
  });
});
