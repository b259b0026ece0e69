import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SamplerChatModel, splitReasoning } from '../../../src/engine/chat/index.js';
import { StreamedChoice } from '../../../src/engine/chat/streamed.js';
import type { Tokenizer } from '../../../src/model/index.js';
import { characterTokenizer, textFolder, TextSampler } from '../../support/text-model.js';

/** Every byte is a token, so that characters are cut in their middle. */
const byteTokenizer: Tokenizer = {
  ...characterTokenizer,
  encode: (text) => Int32Array.from(Buffer.from(text, 'utf8')),
  decode: (tokens) => Buffer.from(Array.from(tokens)).toString('utf8'),
};

function stream(text: string, stop: readonly string[] = [], raw = text) {
  const pieces: [kind: string, text: string][] = [];
  const choice = new StreamedChoice({
    ...{ tokenizer: byteTokenizer, stop, startsInside: false },
    emit: (kind, piece) => pieces.push([kind, piece]),
  });
  const early: string[] = [];
  for (const token of byteTokenizer.encode(text)) {
    choice.push(token);
    early.push(said(pieces, 'content'));
  }
  return { whole: choice.end(raw), pieces, early };
}

const said = (pieces: [string, string][], of: string): string =>
  pieces.map(([kind, text]) => (kind === of ? text : '')).join('');

describe('an answer as its tokens arrive', () => {
  it('comes in whole characters', () => {
    const { pieces } = stream('a€😀b');
    expect(pieces).toEqual(['a', '€', '😀', 'b'].map((text) => ['content', text]));
  });

  it('holds back what may begin a stop string, and tells none of it', () => {
    const { early, whole } = stream('one [end', ['[end'], 'one ');
    expect(early.slice(-4)).toEqual(['one ', 'one ', 'one ', 'one ']);
    expect(whole).toBe(true);
    expect(said(stream('one [enough', ['[end']).pieces, 'content')).toBe('one [enough');
  });

  it('tells thoughts from answer', () => {
    const { pieces } = stream('<think>\nsix\n</think>\n\n42');
    expect(said(pieces, 'reasoning')).toBe('six');
    expect(said(pieces, 'content')).toBe('42');
  });

  it('says when the whole answer begins differently', () => {
    expect(stream('abc', [], 'abd').whole).toBe(false);
  });

  it('adds up to the whole answer, whatever the text and the stop strings', () => {
    const letter = fc.constantFrom('a', 'b', '<', '/', '\n', ' ', 'é', '😀');
    const text = fc.array(letter, { maxLength: 30 }).map((all) => all.join(''));
    const stops = fc.array(
      fc.array(letter, { minLength: 1, maxLength: 3 }).map((all) => all.join('')),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(text, stops, (full, stop) => {
        // A sampler ends with the token that completes the first stop string.
        const sampled = prefixThrough(full, stop);
        const first = firstCut(sampled, stop);
        const { whole, pieces } = stream(sampled, stop, first);
        expect(whole).toBe(true);
        expect(said(pieces, 'content')).toBe(splitReasoning(first).content);
      }),
    );
  });
});

it('has the borders of the whole text, wherever thoughts begin and end', () => {
  const part = fc.array(fc.constantFrom('a', ' ', '\n', '<'), { maxLength: 8 }).map((all) => all.join(''));
  fc.assert(
    fc.property(part, part, fc.boolean(), (thoughts, answer, closed) => {
      const text = `<think>${thoughts}${closed ? `</think>${answer}` : ''}`;
      const { content, reasoning } = splitReasoning(text);
      const { pieces } = stream(text);
      expect(said(pieces, 'reasoning')).toBe(reasoning);
      expect(said(pieces, 'content')).toBe(content ?? '');
    }),
  );
});

/** Through the character that completes a stop string. */
function prefixThrough(text: string, stop: readonly string[]): string {
  for (let end = 1; end <= text.length; end++)
    if (stop.some((string) => text.slice(0, end).endsWith(string))) return text.slice(0, end);
  return text;
}

/** Before the stop string that ends the text; of several, the longest. */
function firstCut(text: string, stop: readonly string[]): string {
  const found = stop.filter((string) => text.endsWith(string)).map(({ length }) => length);
  return text.slice(0, text.length - Math.max(0, ...found));
}

describe('SamplerChatModel', () => {
  it('tells the answer piece by piece, before it is complete', async () => {
    const model = new SamplerChatModel({
      sampler: new TextSampler(() => 'one two'),
      folder: textFolder(),
      name: 'tiny',
    });
    const pieces: string[] = [];
    const messages = [{ role: 'user' as const, content: 'go' }];
    await model.complete({ messages, maxTokens: 50 }, { onDelta: ({ text }) => pieces.push(text) });
    expect(pieces).toEqual([...'one two']);
  });
});
