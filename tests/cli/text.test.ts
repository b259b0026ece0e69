import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, duration, oneLine, percent, plainText, shellWord } from '../../src/cli/text.js';

describe('plainText', () => {
  it.each([
    ['colours', '\u001b[31mred\u001b[0m', 'red'],
    ['a window title', '\u001b]0;owned\u0007text', 'text'],
    ['a hyperlink', '\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['the 8-bit forms', '\u009b2Jtext\u009d0;t\u009c!', 'text!'],
    ['an unfinished sequence', 'a\u001b[12', 'a'],
    ['an unfinished string', 'a\u001b]0;never ends', 'a'],
    ['carriage returns and backspaces', 'ok\rbad\b\b', 'okbad'],
    ['marks that reorder text', 'a\u202eb\u2066c', 'abc'],
  ])('takes out %s', (_, hostile, plain) => {
    expect(plainText(hostile)).toBe(plain);
  });

  it('keeps tabs, newlines and letters of every script', () => {
    expect(plainText('a\tb\nc é 漢字 🙂\r\n')).toBe('a\tb\nc é 漢字 🙂\n');
  });

  it('leaves no control character whatever comes in, and is idempotent', () => {
    const unit = fc.oneof(
      fc.constantFrom('\u001b', '[', ']', '\u009b', 'm', '\u0007', '\\', '\r', '\u0090'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(unit), (parts) => {
        const plain = plainText(parts.join(''));
        expect(plain).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
        expect(plainText(plain)).toBe(plain);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe('short forms', () => {
  it('fits a line', () => {
    expect(oneLine('one\ntwo')).toBe('one\\ntwo');
    expect(oneLine('abcdef', 4)).toBe('abc…');
  });

  it('names units', () => {
    expect([duration(4.4), duration(75), duration(7380)]).toEqual(['4s', '1m 15s', '2h 3m']);
    expect(percent(0.4567)).toBe('45.7 %');
    expect([bytes(999), bytes(1536), bytes(2.5e9)]).toEqual(['999 B', '1.5 KB', '2.5 GB']);
  });
});

describe('shellWord', () => {
  it.each([
    ['runs/warm-0', 'runs/warm-0'],
    ['runs/r l', "'runs/r l'"],
    ["it's", "'it'\\''s'"],
    ['', "''"],
  ])('%s', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });
});
