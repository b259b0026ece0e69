import { join } from 'node:path';
import { HoneError } from '../core/index.js';
import { makeFolder } from '../formats/index.js';
import { writeText } from './files.js';

/** Special tokens of a character tokenizer, with ids 0 and 1; characters follow in the order of the alphabet. */
const SPECIAL = ['<pad>', '<eos>'];

/**
 * The files of a tokenizer in which every character of `alphabet` is one token: a BPE without merges, which
 * loadTokenizer, Python's tokenizers and transformers' PreTrainedTokenizerFast read alike. It adds no token to a
 * text by itself. Encoding a character outside the alphabet throws in hone (the others drop it).
 * @param alphabet distinct characters (code points). @returns file contents by name.
 * @throws HoneError('usage') when the alphabet is empty or repeats a character.
 */
export function createCharTokenizer(alphabet: string): { files: Record<string, string> } {
  const characters = Array.from(alphabet);
  checkAlphabet(characters);
  const vocab = Object.fromEntries([...SPECIAL, ...characters].map((token, id) => [token, id]));
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: [],
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    pad_token: '<pad>',
    eos_token: '<eos>',
    clean_up_tokenization_spaces: false,
  };
  return { files: { 'tokenizer.json': pretty(tokenizer), 'tokenizer_config.json': pretty(config) } };
}

/** Writes the files of createCharTokenizer into `folder`, creating it. */
export async function writeCharTokenizer(folder: string, alphabet: string): Promise<void> {
  await makeFolder(folder);
  for (const [name, text] of Object.entries(createCharTokenizer(alphabet).files))
    await writeText(join(folder, name), text);
}

function checkAlphabet(characters: readonly string[]): void {
  if (characters.length === 0) throw new HoneError('usage', 'the alphabet of a tokenizer is empty');
  const seen = new Set<string>();
  for (const character of characters) {
    if (/\p{Surrogate}/u.test(character)) throw new HoneError('usage', 'the alphabet holds half of a surrogate pair');
    if (seen.has(character))
      throw new HoneError('usage', `the alphabet repeats ${JSON.stringify(character)}`, {
        hint: 'Give every character once.',
      });
    seen.add(character);
  }
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) + '\n';
}
