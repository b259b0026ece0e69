import type { ChatTemplate, Tokenizer } from '../../src/model/index.js';
import type { Response } from '../../src/tasks/index.js';

/** A response that ended by itself. */
export function said(text: string, stopReason: Response['stopReason'] = 'eos'): Response {
  return { text, tokens: new Int32Array(), stopReason };
}

/** One token a character (code point + 10); ids below 10 are special: 0 BOS, 1 EOS, 2 end of turn. */
export function characterTokenizer(special: readonly string[] = ['<s>', '</s>', '<|end|>']): Tokenizer {
  const pattern = new RegExp(special.map((text) => text.replace(/[|/]/g, '\\$&')).join('|') + '|.', 'gsu');
  const idOf = (piece: string) => (special.includes(piece) ? special.indexOf(piece) : (piece.codePointAt(0) ?? 0) + 10);
  const textOf = (id: number) => (id < 10 ? (special[id] ?? '') : String.fromCodePoint(id - 10));
  const encode = (text: string) => Int32Array.from((text.match(pattern) ?? []).map(idOf));
  const plainIds = (text: string) => Array.from(text, (character) => (character.codePointAt(0) ?? 0) + 10);
  return {
    vocabSize: 0x110000 + 10,
    bosId: 0,
    eosIds: [1, 2],
    padId: undefined,
    encode,
    // U+E000 and the number of a content stand for the content.
    shield: (contents) => ({
      contents: contents.map((_, i) => `\ue000${String.fromCodePoint(0xe001 + i)}`),
      encode: (text) =>
        Int32Array.from(
          text
            .split(/(\ue000.)/su)
            .flatMap((piece) =>
              piece.startsWith('\ue000')
                ? plainIds(contents[(piece.codePointAt(1) ?? 0) - 0xe001] ?? '')
                : Array.from(encode(piece)),
            ),
        ),
    }),
    decode: (tokens, options) =>
      Array.from(tokens, (id) => (id < 10 && options?.skipSpecial !== false ? '' : textOf(id))).join(''),
    tokenBytes: (id) => new TextEncoder().encode(id < 10 ? '' : textOf(id)),
  };
}

/** <s>role:content<|end|>\n for every message; starts with BOS as Llama templates do. */
export const template: ChatTemplate = {
  source: '(fake)',
  render: (messages, options) =>
    '<s>' +
    messages.map(({ role, content }) => `${role}:${content}<|end|>\n`).join('') +
    (options?.addGenerationPrompt ? 'assistant:' : ''),
};
