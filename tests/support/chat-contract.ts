/** What every ChatModel promises, whatever is behind it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChatDelta, ChatModel } from '../../src/engine/chat/index.js';
import type { Speaker } from './text-model.js';

/** The model under test has to say what `speak` says, one token a character, one more for the end. */
export type OpenChatModel = (speak: Speaker) => Promise<ChatModel>;

const THOUGHT = '<think>\nseven times six\n</think>\n\nIt is 42.';

/** Says its thoughts to "think", its seed to "seed", and the alphabet to anything else. */
export const contractSpeaker: Speaker = (prompt, seed, attempt) => {
  if (prompt.includes('[user]think')) return THOUGHT;
  if (prompt.includes('[user]seed')) return `seed ${seed} attempt ${attempt}`;
  return 'abcdefghijklmnopqrstuvwxyz';
};

const ask = (content: string) => [{ role: 'user' as const, content }];

export function chatModelContract(name: string, open: OpenChatModel): void {
  describe(`ChatModel contract: ${name}`, () => {
    let model: ChatModel;
    beforeAll(async () => void (model = await open(contractSpeaker)));
    afterAll(() => model.close());

    it('answers, and counts tokens', async () => {
      const { choices, usage } = await model.complete({ messages: ask('go'), maxTokens: 100, temperature: 0 });
      expect(choices).toMatchObject([{ content: 'abcdefghijklmnopqrstuvwxyz', finish: 'stop', tokens: 27 }]);
      expect(choices[0]?.reasoning).toBeUndefined();
      expect(usage).toEqual({ promptTokens: '[user]go[assistant]'.length, completionTokens: 27, estimated: false });
    });

    it('says when the limit cut the answer', async () => {
      const { choices } = await model.complete({ messages: ask('go'), maxTokens: 5, temperature: 0 });
      expect(choices).toMatchObject([{ content: 'abcde', raw: 'abcde', finish: 'length', tokens: 5 }]);
    });

    it('ends before a stop string', async () => {
      const { choices } = await model.complete({ messages: ask('go'), maxTokens: 50, stop: ['zz', 'ghi'] });
      expect(choices).toMatchObject([{ content: 'abcdef', finish: 'stop' }]);
    });

    it('draws n answers', async () => {
      const { choices } = await model.complete({ messages: ask('seed'), maxTokens: 50, n: 3, seed: 11 });
      expect(choices.map(({ content }) => content)).toEqual([0, 1, 2].map((i) => `seed 11 attempt ${i}`));
    });

    it('tells thoughts from answer', async () => {
      const { choices } = await model.complete({ messages: ask('think'), maxTokens: 100 });
      expect(choices).toMatchObject([{ reasoning: 'seven times six', content: 'It is 42.', raw: THOUGHT }]);
    });

    it('has no answer when it was cut off while thinking', async () => {
      const { choices } = await model.complete({ messages: ask('think'), maxTokens: 20 });
      expect(choices).toMatchObject([{ content: undefined, finish: 'length' }]);
      expect('seven times six'.startsWith(choices[0]?.reasoning ?? '-')).toBe(true);
    });

    it('tells the answer on the way', async () => {
      const deltas: ChatDelta[] = [];
      await model.complete({ messages: ask('think'), maxTokens: 100 }, { onDelta: (delta) => deltas.push(delta) });
      const joined = (kind: ChatDelta['kind']): string =>
        deltas.map((delta) => (delta.kind === kind ? delta.text : '')).join('');
      expect(joined('reasoning').trim()).toBe('seven times six');
      expect(joined('content').trim()).toBe('It is 42.');
    });

    it('goes on from an unfinished turn', async (context) => {
      if (!model.capabilities.continueAssistant) return context.skip('cannot continue a turn');
      const messages = [...ask('go'), { role: 'assistant' as const, content: 'abcdef' }];
      const { choices } = await model.complete({ messages, continueAssistant: true, maxTokens: 4 });
      expect(choices).toMatchObject([{ raw: 'ghij', finish: 'length' }]);
    });

    it('goes on inside thoughts', async (context) => {
      if (!model.capabilities.continueAssistant) return context.skip('cannot continue a turn');
      const messages = [...ask('think'), { role: 'assistant' as const, content: '<think>\nseven times' }];
      const { choices } = await model.complete({ messages, continueAssistant: true, maxTokens: 100 });
      expect(choices).toMatchObject([{ content: 'It is 42.', raw: ' six\n</think>\n\nIt is 42.' }]);
    });

    it('gives the logprobs of what it wrote', async (context) => {
      if (!model.capabilities.logprobs) return context.skip('no logprobs');
      const { choices } = await model.complete({ messages: ask('go'), maxTokens: 3, logprobs: true });
      expect(choices[0]?.logprobs).toEqual(['a', 'b', 'c'].map((token) => ({ token, logprob: -0.5 })));
    });

    it('completes raw text', async (context) => {
      if (!model.completeText) return context.skip('no text completion');
      const { choices } = await model.completeText('[user]go[assistant]abc', { maxTokens: 3 });
      expect(choices).toMatchObject([{ raw: 'def' }]);
    });

    it('answers many at once, each its own', async () => {
      const asked = Array.from({ length: 40 }, (_, seed) =>
        model.complete({ messages: ask('seed'), maxTokens: 50, seed }),
      );
      const said = (await Promise.all(asked)).map(({ choices }) => choices[0]?.content);
      expect(said).toEqual(Array.from({ length: 40 }, (_, seed) => `seed ${seed} attempt 0`));
    });

    it('stops when asked', async () => {
      const controller = new AbortController();
      controller.abort();
      const asked = model.complete({ messages: ask('go'), maxTokens: 5 }, { signal: controller.signal });
      await expect(asked).rejects.toMatchObject({ kind: 'interrupted' });
    });
  });
}
