/** A tokenizer.json as the metadata of a GGUF file, in the terms of llama.cpp (src/llama-vocab.cpp). */
import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { loadChatTemplate } from '../chat-template.js';
import { readJson } from '../files.js';
import { GPT2_PATTERN, DIGIT_PATTERN, DIGITS_PATTERN } from '../patterns.js';
import { BYTE_OF_CHARACTER, vocabularyKind } from '../token-bytes.js';
import { parseTokenizerJson, stepsOf, vocabularySize, type Step, type TokenizerJson } from '../tokenizer-json.js';
import { loadTokenizer, MAX_TOKENIZER_BYTES, readSpecialTokens } from '../tokenizer.js';
import type { Tokenizer } from '../types.js';
import { PRE_TOKENIZATIONS } from './tokenizer.js';
import type { GgufValue } from './writer.js';

/** enum llama_token_type */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * The `tokenizer.*` metadata of a model folder.
 * Only byte-level vocabularies, and plain ones of ASCII characters (as hone's own tiny models have), have an exact
 * counterpart in llama.cpp that can be told from tokenizer.json.
 * @param rows of the embedding; ids without a token get an unused one, as llama.cpp's converter does.
 * @throws HoneError('input') for tokenizers that llama.cpp would compute otherwise.
 */
export async function ggufTokenizerMetadata(folder: string, rows: number): Promise<Map<string, GgufValue>> {
  const file = join(folder, 'tokenizer.json');
  const tokenizer = await loadTokenizer(folder);
  const json = parseTokenizerJson(await readJson(file, MAX_TOKENIZER_BYTES), file);
  const { pre, model } = vocabularyKind(json) === 'plain' ? plainVocabulary(json, file) : byteLevel(json, file);
  const { tokens, types } = tokenList(json, model.vocab, Math.max(rows, vocabularySize(json)));
  const { unk } = await readSpecialTokens(folder);
  const ids = tokenIds(tokenizer, unk === undefined ? -1 : tokens.indexOf(unk));
  const template = await loadChatTemplate(folder);
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { string: 'gpt2' }],
    ['tokenizer.ggml.pre', { string: pre }],
    ['tokenizer.ggml.tokens', { strings: tokens }],
    ['tokenizer.ggml.token_type', { i32s: types }],
    [
      'tokenizer.ggml.merges',
      { strings: model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' '))) },
    ],
    ...ids.map(([name, id]): [string, GgufValue] => [`tokenizer.ggml.${name}_token_id`, { u32: id }]),
    ...addedAtEnds(tokenizer, file),
    ...(template ? [['tokenizer.chat_template', { string: template.source }] as const] : []),
  ]);
}

interface Vocabulary {
  pre: string;
  model: Pick<TokenizerJson['model'], 'vocab' | 'merges'>;
}

/** A byte-level vocabulary and llama.cpp's name for the way its text is split. */
function byteLevel(json: TokenizerJson, where: string): Vocabulary {
  if (vocabularyKind(json) !== 'byte-level')
    throw new HoneError('input', 'SentencePiece-style vocabularies are not written as GGUF', {
      where,
      hint: "Export a Hugging Face folder and convert it with llama.cpp's convert_hf_to_gguf.py.",
    });
  const wanted = splitting(json.pre_tokenizer, json.normalizer, json.model['ignore_merges']);
  for (const [pre, { preTokenizer, normalizer, ignoreMerges }] of PRE_TOKENIZATIONS)
    if (splitting(preTokenizer as Step, normalizer as Step | undefined, ignoreMerges) === wanted)
      return { pre, model: json.model };
  throw new HoneError('input', 'splits text in a way for which hone knows no name in llama.cpp', {
    where,
    hint: `Known are those of ${[...PRE_TOKENIZATIONS.keys()].join(', ')}. Convert with llama.cpp's convert_hf_to_gguf.py.`,
  });
}

/** What decides how text is split, in a form that can be compared. */
function splitting(preTokenizer: Step | null | undefined, normalizer: Step | null | undefined, ignoreMerges: unknown) {
  const steps = stepsOf(preTokenizer).flatMap((step): unknown[] => {
    if (step.type === 'Digits') return [step['individual_digits'] ? DIGIT_PATTERN : DIGITS_PATTERN];
    if (step.type === 'ByteLevel') return step['use_regex'] === false ? [] : [GPT2_PATTERN];
    return [step['behavior'] === 'Isolated' && !step['invert'] ? step['pattern'] : step];
  });
  const patterns = steps.map((step) => (step as { Regex?: unknown }).Regex ?? step);
  return JSON.stringify([patterns, stepsOf(normalizer).map(({ type }) => type), ignoreMerges ?? false]);
}

const BYTE_CHARACTERS: ReadonlyMap<number, string> = new Map(
  [...BYTE_OF_CHARACTER].map(([character, byte]) => [byte, character]),
);

/**
 * A vocabulary of single ASCII characters without merges, as the byte-level one that is the same: however text is
 * split, each character is a token of its own.
 */
function plainVocabulary(json: TokenizerJson, where: string): Vocabulary {
  const added = new Set(json.added_tokens.map(({ content }) => content));
  const vocab: Record<string, number> = {};
  for (const [token, id] of Object.entries(json.model.vocab)) {
    const character = added.has(token) ? token : BYTE_CHARACTERS.get(token.length === 1 ? token.charCodeAt(0) : -1);
    const ascii = added.has(token) || token.charCodeAt(0) < 128;
    if (character === undefined || !ascii || json.model.merges.length > 0 || json.normalizer || json.pre_tokenizer)
      throw new HoneError('input', 'vocabularies of plain text beyond ASCII characters are not written as GGUF', {
        where,
        hint: 'Use a byte-level tokenizer, or export a Hugging Face folder.',
      });
    vocab[character] = id;
  }
  return { pre: 'gpt-2', model: { vocab, merges: [] } };
}

/** BOS, the two ids that end a reply which a file can name, padding, and the unknown token (-1: none). */
function tokenIds({ bosId, eosIds, padId }: Tokenizer, unknown: number): [string, number][] {
  const named: [string, number | undefined][] = [
    ['bos', bosId],
    ['eos', eosIds[0]],
    ['eot', eosIds[1]],
    ['padding', padId],
    ['unknown', unknown < 0 ? undefined : unknown],
  ];
  return named.filter((entry): entry is [string, number] => entry[1] !== undefined);
}

function tokenList(json: TokenizerJson, vocab: Readonly<Record<string, number>>, size: number) {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = tokens.map(() => UNUSED);
  for (const [token, id] of Object.entries(vocab)) {
    tokens[id] = token;
    types[id] = NORMAL;
  }
  for (const { id, content, special } of json.added_tokens) {
    tokens[id] = content;
    types[id] = special ? CONTROL : USER_DEFINED;
  }
  return { tokens, types };
}

/** Whether BOS and EOS are put around a text, as the post-processor does it to an empty one. */
function addedAtEnds(tokenizer: Tokenizer, where: string): [string, GgufValue][] {
  const { bosId, eosIds } = tokenizer;
  const added = [...tokenizer.encode('', { addSpecial: true })];
  const bos = added.length > 0 && added[0] === bosId;
  const eos = added.length > Number(bos) && added.at(-1) === eosIds[0];
  if (added.length !== Number(bos) + Number(eos))
    throw new HoneError('input', 'the post-processor adds more than BOS and EOS', {
      where,
      hint: 'Export a Hugging Face folder instead.',
    });
  return [
    ['tokenizer.ggml.add_bos_token', { bool: bos }],
    ['tokenizer.ggml.add_eos_token', { bool: eos }],
  ];
}
