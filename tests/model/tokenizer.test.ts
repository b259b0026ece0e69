import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCharTokenizer, loadTokenizer, writeCharTokenizer, type Tokenizer } from '../../src/model/index.js';
import { hasUnknownPatterns, parseTokenizerJson } from '../../src/model/tokenizer-json.js';
import { tokenizerDigest } from '../../verify/model/peers.js';
import { TINY_STRINGS, variedStrings } from '../../verify/model/strings.js';
import { failure, golden, goldenJson, scratch } from './helpers.js';

const kinds = ['gpt2', 'smollm', 'llama3', 'qwen2', 'sentencepiece', 'metaspace'];
const byteLevel = ['gpt2', 'smollm', 'llama3'];
const tiny = (kind: string): Promise<Tokenizer> => loadTokenizer(golden(`tiny-tokenizers/${kind}`));

/** Joined bytes of the tokens as text. */
function textOfBytes(tokenizer: Tokenizer, ids: Int32Array): string {
  return Buffer.concat(Array.from(ids, (id) => tokenizer.tokenBytes(id))).toString('utf8');
}

describe('against Python tokenizers', () => {
  it.each(kinds)('%s: ids and decoded text of every string are equal', async (kind) => {
    const tokenizer = await tiny(kind);
    const expected = await goldenJson<{ kinds: Record<string, string[]> }>('tiny-tokenizers/golden.json');
    const strings = variedStrings(TINY_STRINGS.seed, TINY_STRINGS.count);
    const different = strings.filter((text, i) => tokenizerDigest(tokenizer, text) !== expected.kinds[kind]?.[i]);
    expect(expected.kinds[kind]).toHaveLength(strings.length);
    expect(different).toEqual([]);
  });
});

describe('published patterns', () => {
  it.each(kinds)('%s: the patterns in the file are the ones hone knows to be safe', async (kind) => {
    const json = await goldenJson<unknown>(`tiny-tokenizers/${kind}/tokenizer.json`);
    expect(hasUnknownPatterns(parseTokenizerJson(json, kind))).toBe(false);
  });
});

describe('tokenBytes', () => {
  it.each(byteLevel)('%s: the bytes of the tokens are the bytes of the text', async (kind) => {
    const tokenizer = await tiny(kind);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect(textOfBytes(tokenizer, tokenizer.encode(text))).toBe(text);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('sentencepiece: spaces and byte tokens are theirs, special tokens have none', async () => {
    const tokenizer = await tiny('sentencepiece');
    const ids = tokenizer.encode('sum of \u{1F9FF}<|im_end|>');
    expect(textOfBytes(tokenizer, ids)).toBe(' sum of \u{1F9FF}');
    expect(tokenizer.tokenBytes(ids.at(-1) as number)).toHaveLength(0);
  });

  it('is empty outside the vocabulary, where decode leaves ids out', async () => {
    const tokenizer = await tiny('gpt2');
    expect(tokenizer.tokenBytes(tokenizer.vocabSize + 5)).toHaveLength(0);
    expect(tokenizer.decode([tokenizer.vocabSize + 5])).toBe('');
    expect(tokenizer.decode([])).toBe('');
  });
});

describe('special tokens', () => {
  it('become ids inside text, and are left out of decoded text unless asked for', async () => {
    const tokenizer = await tiny('smollm');
    const ids = tokenizer.encode('<|im_start|>sum<|im_end|>');
    expect([ids[0], ids.at(-1)]).toEqual([1, 2]);
    expect(tokenizer.decode(ids)).toBe('sum');
    expect(tokenizer.decode(ids, { skipSpecial: false })).toBe('<|im_start|>sum<|im_end|>');
  });

  it('are added as the post-processor does, only on request', async () => {
    const tokenizer = await tiny('llama3');
    const bare = [...tokenizer.encode('sum')];
    expect([...tokenizer.encode('sum', { addSpecial: true })]).toEqual([0, ...bare]);
  });

  it('come from tokenizer_config.json, special_tokens_map.json and generation_config.json', async () => {
    const folder = await scratch();
    await writeFile(join(folder, 'tokenizer.json'), await readFile(golden('tiny-tokenizers/gpt2/tokenizer.json')));
    const write = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
    await write('tokenizer_config.json', { eos_token: { content: '<|im_end|>' }, pad_token: null });
    await write('special_tokens_map.json', { bos_token: '<|im_start|>', pad_token: '<|endoftext|>' });
    await write('config.json', { eos_token_id: 77, vocab_size: 600 });
    expect(await loadTokenizer(folder)).toMatchObject({ bosId: 1, eosIds: [2], padId: 0 });
    await write('generation_config.json', { eos_token_id: [2, 0] });
    expect((await loadTokenizer(folder)).eosIds).toEqual([2, 0]);
    await write('tokenizer_config.json', { eos_token: '<nowhere>' });
    expect((await failure(loadTokenizer(folder))).message).toContain('eos_token "<nowhere>" is not in the vocabulary');
  });
});

describe('bad tokenizers', () => {
  const nested = (depth: number): unknown =>
    depth === 0 ? { type: 'ByteLevel' } : { type: 'Sequence', decoders: [nested(depth - 1)] };
  type Json = Record<string, unknown> & { model: Record<string, unknown>; added_tokens: Record<string, unknown>[] };

  async function changed(change: (json: Json) => void): Promise<string> {
    const folder = await scratch();
    const json = await goldenJson<Json>('tiny-tokenizers/gpt2/tokenizer.json');
    change(json);
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json));
    return folder;
  }

  it.each<[string, (json: Json) => void, string]>([
    ['another model', (json) => (json.model['type'] = 'Unigram'), 'model.type: tokenizers of type "Unigram"'],
    ['no vocabulary', (json) => delete json.model['vocab'], 'model.vocab'],
    ['a vocabulary of strings', (json) => (json.model['vocab'] = { a: 'b' }), 'model.vocab'],
    ['a huge id', (json) => (json.model['vocab'] = { a: 2 ** 31 }), 'model.vocab'],
    ['a shared id', (json) => (json.model['vocab'] = { x: 300, y: 300 }), 'tokens "x" and "y" share id 300'],
    ['a merge of nothing', (json) => (json.model['merges'] = [['zz', 'qq']]), 'model.merges[0]'],
    ['random merges', (json) => (json.model['dropout'] = 0.1), 'model.dropout'],
    ['an unknown step', (json) => (json['pre_tokenizer'] = { type: 'Oracle' }), 'pre_tokenizer: unknown type Oracle'],
    ['single words', (json) => Object.assign(json.added_tokens[0] ?? {}, { single_word: true }), 'single_word'],
    ['a step of nothing', (json) => (json['pre_tokenizer'] = { type: 'Sequence', pretokenizers: [null] }), 'malformed'],
    ['steps without end', (json) => (json['decoder'] = nested(40)), 'decoder: malformed step'],
    [
      'an inverted split',
      (json) =>
        (json['pre_tokenizer'] = { type: 'Split', pattern: { Regex: 'a' }, behavior: 'Isolated', invert: true }),
      'Split with behavior Isolated inverted',
    ],
    [
      'a broken pattern',
      (json) => (json['pre_tokenizer'] = { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' }),
      'cannot be used',
    ],
  ])('refuses %s by name', async (_, change, message) => {
    expect((await failure(loadTokenizer(await changed(change)))).message).toContain(message);
  });

  it('refuses what is missing or no JSON', async () => {
    const folder = await scratch();
    expect((await failure(loadTokenizer(folder))).message).toContain('has no tokenizer.json');
    await writeFile(join(folder, 'tokenizer.json'), '{"model":');
    expect((await failure(loadTokenizer(folder))).message).toContain('is not JSON');
  });

  it('refuses a tokenizer that does not fit the model', async () => {
    const folder = await changed(() => {});
    await writeFile(join(folder, 'config.json'), JSON.stringify({ vocab_size: 100 }));
    expect((await failure(loadTokenizer(folder))).message).toContain('tokenizer does not fit: it has 562 tokens');
  });

  it('reports a post-processor that is malformed or names an unknown token', async () => {
    for (const single of [undefined, [{ SpecialToken: { id: '<nowhere>', type_id: 0 } }]]) {
      const folder = await changed((json) => (json['post_processor'] = { type: 'TemplateProcessing', single }));
      const tokenizer = await loadTokenizer(folder);
      await failure(() => tokenizer.encode('sum', { addSpecial: true }));
    }
  });

  it('stops a regular expression that backtracks without end', async () => {
    const folder = await changed((json) => {
      json['pre_tokenizer'] = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
    });
    const tokenizer = await loadTokenizer(folder);
    const error = await failure(() => tokenizer.encode(`${'a'.repeat(50)}b`));
    expect(error.message).toContain('encoding a text took longer than');
  });

  it('takes __proto__ for a token like any other', async () => {
    const folder = await scratch();
    await mkdir(folder, { recursive: true });
    const vocab = '{"_":0,"p":1,"__":2,"__p":3}';
    const text = `{"model":{"type":"BPE","vocab":${vocab.replace('"p":1', '"p":1,"__proto__":4')},"merges":[["_","_"],["__","p"]]}}`;
    await writeFile(join(folder, 'tokenizer.json'), text);
    const tokenizer = await loadTokenizer(folder);
    expect([tokenizer.vocabSize, ...tokenizer.encode('__p')]).toEqual([5, 3]);
  });
});

describe('createCharTokenizer', () => {
  const alphabet = '0123456789+-*/()= \n<>abc\u{1F600}é';

  it('has a token per character behind <pad> and <eos>', async () => {
    const folder = await scratch();
    await writeCharTokenizer(folder, alphabet);
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer).toMatchObject({ padId: 0, eosIds: [1], bosId: undefined });
    expect(tokenizer.vocabSize).toBe(2 + Array.from(alphabet).length);
    expect([...tokenizer.encode('12\u{1F600}<eos>')]).toEqual([3, 4, 2 + Array.from(alphabet).indexOf('\u{1F600}'), 1]);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...alphabet)), (characters) => {
        const text = characters.join('');
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(textOfBytes(tokenizer, ids)).toBe(text);
        expect(ids).toHaveLength(characters.length);
      }),
      { seed: 4 },
    );
  });

  it('names a character outside the alphabet', async () => {
    const folder = await scratch();
    await writeCharTokenizer(folder, 'abc');
    const tokenizer = await loadTokenizer(folder);
    for (const [text, character] of [
      ['abxc', 'x'],
      ['x', 'x'],
      ['ab\u{1F9FF}', '\u{1F9FF}'],
      ['<eos>a?', '?'],
    ] as const)
      expect((await failure(() => tokenizer.encode(text))).message).toContain(JSON.stringify(character));
  });

  it('refuses an empty alphabet, a repeated character and half a surrogate pair', async () => {
    expect((await failure(() => createCharTokenizer(''))).message).toContain('empty');
    expect((await failure(() => createCharTokenizer('aba'))).message).toContain('repeats "a"');
    expect((await failure(() => createCharTokenizer('a\ud83d'))).message).toContain('surrogate');
  });
});
