/** Which bytes of running text a token stands for, by the kind of its vocabulary. */
import { stepsOf, type TokenizerJson } from './tokenizer-json.js';

/**
 * `byte-level`: every character of a token is one byte in GPT-2's alphabet. `sentencepiece`: text with U+2581 for
 * the space, and <0xNN> for single bytes. `plain`: text.
 */
export type VocabularyKind = 'byte-level' | 'sentencepiece' | 'plain';

export function vocabularyKind(json: TokenizerJson): VocabularyKind {
  const types = [...stepsOf(json.pre_tokenizer), ...stepsOf(json.decoder)].map((step) => step.type);
  if (types.includes('ByteLevel')) return 'byte-level';
  const spaced = types.includes('Metaspace') || stepsOf(json.decoder).some((step) => step['content'] === ' ');
  return json.model.byte_fallback || spaced ? 'sentencepiece' : 'plain';
}

/**
 * GPT-2's alphabet for bytes: the printable ones of Latin-1 stand for themselves, the others are moved up to
 * U+0100 and following, in order (openai/gpt-2, encoder.py, bytes_to_unicode).
 */
export const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const map = new Map<string, number>();
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) map.set(String.fromCharCode(printable(byte) ? byte : 0x100 + moved++), byte);
  return map;
})();

const utf8 = new TextEncoder();

/** The bytes of one vocabulary entry that is not a special token. */
export function bytesOfToken(token: string, kind: VocabularyKind): Uint8Array {
  if (kind === 'plain') return utf8.encode(token);
  if (kind === 'sentencepiece') {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    return byte === undefined ? utf8.encode(token.replaceAll('\u2581', ' ')) : Uint8Array.of(parseInt(byte, 16));
  }
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return utf8.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
