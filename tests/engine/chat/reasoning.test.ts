import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinReasoning, ReasoningSplitter, splitReasoning } from '../../../src/engine/chat/index.js';

describe('splitReasoning', () => {
  it.each([
    ['no tags', 'plain 4', false, undefined, 'plain 4'],
    ['both tags', '<think>\n2+2\n</think>\n\n4', false, '2+2', '4'],
    ['opened by the prompt', '2+2\n</think>\n\n4', true, '2+2', '4'],
    ['opened by the prompt, not declared', '2+2\n</think>4', false, '2+2', '4'],
    ['opened twice', '<think>\n2+2</think>4', true, '2+2', '4'],
    ['the last closing tag counts', '<think>a</think>b</think>c', false, 'a</think>b', 'c'],
    ['never closed', '<think>\n2+', false, '2+', undefined],
    ['never closed, opened by the prompt', '2+', true, '2+', undefined],
    ['closed, and then nothing', '<think>x</think>', false, 'x', ''],
    ['a tag inside the answer opens nothing', 'use <think> tags', false, undefined, 'use <think> tags'],
  ])('%s', (_, text, inside, reasoning, content) => {
    expect(splitReasoning(text, inside)).toEqual({ reasoning, content });
  });

  it('takes apart what joinReasoning puts together', () => {
    const line = fc.string().filter((text) => !text.includes('think>') && text.trim() === text && text !== '');
    fc.assert(
      fc.property(line, line, (reasoning, content) => {
        expect(splitReasoning(joinReasoning(reasoning, content))).toEqual({ reasoning, content });
      }),
      { seed: 1 },
    );
  });
});

describe('ReasoningSplitter', () => {
  it('tells the same from any pieces', () => {
    const piece = fc.constantFrom('<think>', '</think>', '<th', 'ink>', '</', 'a', '\n', 'th', '<');
    fc.assert(
      fc.property(fc.array(piece), fc.boolean(), (pieces, inside) => {
        const told = (parts: readonly string[]): string[] => {
          const said = { reasoning: '', content: '' };
          const splitter = new ReasoningSplitter((kind, text) => (said[kind] += text), inside);
          for (const part of parts) splitter.push(part);
          splitter.end();
          return [said.reasoning, said.content];
        };
        expect(told(pieces)).toEqual(told([pieces.join('')]));
      }),
      { seed: 2 },
    );
  });
});
