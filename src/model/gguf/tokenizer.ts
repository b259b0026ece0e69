import { HoneError } from '../../core/index.js';
import { LLAMA3_PATTERN, QWEN2_PATTERN } from '../patterns.js';
import { eosIds, ggufArchitecture } from './config.js';
import { GgufMetadata, type GgufFile } from './file.js';

/** llama.cpp's token types (enum llama_token_type). */
const CONTROL = 3;
const USER_DEFINED = 4;
/** A row of the embedding without a token. */
const UNUSED = 5;

const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});
const splitBy = (Regex: string) => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }, byteLevel(false)],
});

interface PreTokenization {
  preTokenizer: unknown;
  normalizer?: unknown;
  /** Whole pieces that are tokens stay whole. */
  ignoreMerges?: boolean;
  /** BOS is added where the file does not say. */
  addBos?: boolean;
}

/** How text is split before merging, by tokenizer.ggml.pre (llama.cpp, src/llama-vocab.cpp). */
export const PRE_TOKENIZATIONS: ReadonlyMap<string, PreTokenization> = new Map([
  ['gpt-2', { preTokenizer: byteLevel(true) }],
  [
    'smollm',
    {
      preTokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
    },
  ],
  ['llama-bpe', { preTokenizer: splitBy(LLAMA3_PATTERN), ignoreMerges: true, addBos: true }],
  // SmolLM3's files: as Llama 3, without what that one adds.
  ['smaug-bpe', { preTokenizer: splitBy(LLAMA3_PATTERN) }],
  ['qwen2', { preTokenizer: splitBy(QWEN2_PATTERN), normalizer: { type: 'NFC' } }],
]);

/**
 * tokenizer.json, tokenizer_config.json and generation_config.json rebuilt from the vocabulary in a GGUF file.
 * @throws HoneError('input') for vocabularies other than byte-level BPE and unknown ways of splitting text.
 */
export function ggufTokenizerFiles(file: GgufFile): Record<string, unknown> {
  const meta = new GgufMetadata(file, 'tokenizer.ggml.');
  const refuse = (message: string): never => {
    throw new HoneError('input', message, {
      where: file.path,
      hint: 'Import the Hugging Face folder of the model instead.',
    });
  };
  const model = meta.string('model');
  if (model !== 'gpt2') refuse(`tokenizer.ggml.model: vocabularies of type "${model}" are not supported`);
  const pre = meta.string('pre');
  const splitting = PRE_TOKENIZATIONS.get(pre ?? '') ?? refuse(`tokenizer.ggml.pre: unknown pre-tokenizer "${pre}"`);
  const tokens = meta.strings('tokens') ?? refuse('metadata lacks tokenizer.ggml.tokens');
  const merges = meta.strings('merges') ?? refuse('metadata lacks tokenizer.ggml.merges');
  const types = meta.numbers('token_type') ?? [];
  const tokenAt = (key: string): string | undefined => {
    const id = meta.number(key);
    if (id === undefined) return undefined;
    return tokens[id] ?? refuse(`tokenizer.ggml.${key}: ${id} is outside the vocabulary`);
  };
  const names = { bos: tokenAt('bos_token_id'), eos: tokenAt('eos_token_id'), pad: tokenAt('padding_token_id') };
  const bos = (meta.boolean('add_bos_token') ?? splitting.addBos) ? names.bos : undefined;
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(tokens, types),
      normalizer: splitting.normalizer ?? null,
      pre_tokenizer: splitting.preTokenizer,
      post_processor: bos === undefined ? byteLevel(true) : bosFirst(bos, tokens.indexOf(bos)),
      decoder: byteLevel(true),
      model: bpe(tokens, types, merges, splitting.ignoreMerges ?? false),
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      add_prefix_space: false,
      clean_up_tokenization_spaces: false,
      model_max_length: new GgufMetadata(file, `${ggufArchitecture(file)}.`).requiredNumber('context_length'),
      ...(names.bos && { bos_token: names.bos }),
      ...(names.eos && { eos_token: names.eos }),
      ...(names.pad && { pad_token: names.pad }),
      ...(tokenAt('unknown_token_id') && { unk_token: tokenAt('unknown_token_id') }),
      ...chatTemplate(file),
    },
    'generation_config.json': {
      bos_token_id: meta.number('bos_token_id'),
      eos_token_id: eosIds(meta),
      pad_token_id: meta.number('padding_token_id'),
    },
  };
}

function addedTokens(tokens: readonly string[], types: readonly number[]): unknown[] {
  return tokens.flatMap((content, id) => {
    const special = types[id] === CONTROL;
    if (!special && types[id] !== USER_DEFINED) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

function bpe(
  tokens: readonly string[],
  types: readonly number[],
  merges: readonly string[],
  ignoreMerges: boolean,
): unknown {
  const entries = tokens.map((token, id) => [token, id] as const);
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: ignoreMerges,
    vocab: Object.fromEntries(entries.filter(([, id]) => types[id] !== UNUSED)),
    merges: merges.map((merge) => merge.split(' ', 2)),
  };
}

/** A post-processor that puts BOS before the text when special tokens are asked for. */
function bosFirst(bos: string, id: number): unknown {
  const special = { SpecialToken: { id: bos, type_id: 0 } };
  const text = (sequence: string, type_id: number) => ({ Sequence: { id: sequence, type_id } });
  return {
    type: 'TemplateProcessing',
    single: [special, text('A', 0)],
    pair: [special, text('A', 0), text('B', 1)],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}

function chatTemplate(file: GgufFile): { chat_template?: string } {
  const template = new GgufMetadata(file, 'tokenizer.').string('chat_template');
  return template === undefined ? {} : { chat_template: template };
}
