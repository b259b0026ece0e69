/**
 * `tokenizer.json` as hone accepts it: checked before the tokenizer library sees it, limited to the parts that the
 * library computes as the Rust original does, and rewritten where the two are known to differ.
 */
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { parseWith } from './parse.js';
import { DIGIT_PATTERN, DIGITS_PATTERN, GPT2_PATTERN, KNOWN_PATTERNS } from './patterns.js';

/** A step of a tokenizer: normalizer, pre-tokenizer, post-processor or decoder. */
export interface Step {
  type: string;
  [option: string]: unknown;
}

const MAX_ID = 2 ** 22;
const tokenId = z.int().nonnegative().max(MAX_ID);

/** By hand: z.record leaves out the key `__proto__`, which is a token of some vocabularies, and is slow on 100,000. */
function isVocabulary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((id) => Number.isInteger(id) && id >= 0 && id <= MAX_ID);
}

function isMerges(value: unknown): boolean {
  const isText = (item: unknown) => typeof item === 'string';
  return Array.isArray(value) && value.every((item) => isText(item) || (Array.isArray(item) && item.every(isText)));
}

const step = z.looseObject({ type: z.string() });
const addedToken = z.looseObject({
  id: tokenId,
  content: z.string().min(1),
  single_word: z.boolean().optional(),
  special: z.boolean().optional(),
});
const model = z.looseObject({
  type: z.string().optional(),
  vocab: z.custom<Record<string, number>>(isVocabulary, 'must map tokens to ids from 0 to 2^22'),
  merges: z.custom<(string | string[])[]>(isMerges, 'must be a list of pairs of tokens'),
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  byte_fallback: z.boolean().optional(),
});
const tokenizerJson = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: step.nullish(),
  pre_tokenizer: step.nullish(),
  post_processor: step.nullish(),
  decoder: step.nullish(),
  model,
});
export type TokenizerJson = z.infer<typeof tokenizerJson>;

const SUPPORTED = {
  normalizer: ['Sequence', 'NFC', 'NFD', 'NFKC', 'NFKD', 'Prepend', 'Replace', 'Lowercase'],
  pre_tokenizer: ['Sequence', 'ByteLevel', 'Digits', 'Split', 'Metaspace'],
  post_processor: ['Sequence', 'ByteLevel', 'TemplateProcessing'],
  decoder: ['Sequence', 'ByteLevel', 'Replace', 'ByteFallback', 'Fuse', 'Strip', 'Metaspace'],
} as const;
type Part = keyof typeof SUPPORTED;
const PARTS = Object.keys(SUPPORTED) as Part[];

/**
 * Checks a parsed tokenizer.json. Its `truncation` and `padding` are ignored: hone cuts and pads by itself.
 * @throws HoneError('input') that names the part hone cannot reproduce exactly, or what is inconsistent.
 */
export function parseTokenizerJson(json: unknown, where: string): TokenizerJson {
  const refuse = (message: string): never => {
    throw new HoneError('input', message, { where, hint: 'hone reads byte-level, SentencePiece-style and plain BPE.' });
  };
  const kind = (json as { model?: { type?: unknown } } | null)?.model?.type ?? 'BPE';
  if (kind !== 'BPE') refuse(`model.type: tokenizers of type ${JSON.stringify(kind)} are not supported`);
  const parsed = parseWith(tokenizerJson, json, where);
  const { dropout, continuing_subword_prefix, end_of_word_suffix } = parsed.model;
  if (dropout) refuse('model.dropout: random merges are not supported');
  if (continuing_subword_prefix || end_of_word_suffix) refuse('model: subword prefixes and suffixes are not supported');
  for (const token of parsed.added_tokens)
    if (token.single_word)
      refuse(`added_tokens: single_word is not supported (token ${JSON.stringify(token.content)})`);
  for (const part of PARTS) if (parsed[part]) checkStep(part, parsed[part], refuse);
  checkVocabulary(parsed, refuse);
  return parsed;
}

/** What a sequence calls its list, by part. */
const LISTS = ['normalizers', 'pretokenizers', 'processors', 'decoders'] as const;
const MAX_DEPTH = 8;

/** The steps of a sequence; undefined for a single step. */
function innerSteps(step: Step): Step[] | undefined {
  if (step.type !== 'Sequence') return undefined;
  return (LISTS.map((name) => step[name]).find(Array.isArray) ?? []) as Step[];
}

/** A step and, for a sequence, the steps in it. */
export function stepsOf(step: Step | null | undefined): Step[] {
  if (!step) return [];
  return innerSteps(step)?.flatMap((one) => stepsOf(one)) ?? [step];
}

function checkStep(part: Part, value: unknown, refuse: (message: string) => never, depth = 0): void {
  const parsed = step.safeParse(value);
  if (!parsed.success || depth > MAX_DEPTH) return refuse(`${part}: malformed step`);
  const { type, invert, behavior, add_prefix_space, use_regex } = parsed.data;
  if (!(SUPPORTED[part] as readonly string[]).includes(type)) refuse(`${part}: unknown type ${type}`);
  for (const one of innerSteps(parsed.data) ?? []) checkStep(part, one, refuse, depth + 1);
  if (part === 'pre_tokenizer' && type === 'ByteLevel' && add_prefix_space && use_regex !== false)
    refuse(`${part}: ByteLevel with add_prefix_space is not supported`);
  if (type !== 'Split') return;
  if (invert ? behavior !== 'Removed' : behavior !== 'Isolated' && behavior !== 'Removed')
    refuse(`${part}: Split with behavior ${String(behavior)}${invert ? ' inverted' : ''} is not supported`);
}

function checkVocabulary({ model, added_tokens }: TokenizerJson, refuse: (message: string) => never): void {
  const owner = new Map<number, string>();
  const entries: [string, number][] = [
    ...Object.entries(model.vocab),
    ...added_tokens.map(({ content, id }): [string, number] => [content, id]),
  ];
  for (const [token, id] of entries) {
    const other = owner.get(id);
    if (other !== undefined && other !== token)
      refuse(`tokens ${JSON.stringify(other)} and ${JSON.stringify(token)} share id ${id}`);
    owner.set(id, token);
  }
  const known = new Set(Object.keys(model.vocab));
  model.merges.forEach((merge, i) => {
    const [a, b] = typeof merge === 'string' ? merge.split(' ', 2) : merge;
    if (a === undefined || b === undefined || !known.has(a) || !known.has(b) || !known.has(a + b))
      refuse(`model.merges[${i}]: ${JSON.stringify(merge)} names a token outside the vocabulary`);
  });
}

/** Number of ids, with those of added tokens. */
export function vocabularySize({ model, added_tokens }: TokenizerJson): number {
  let last = -1;
  for (const id of Object.values(model.vocab)) last = Math.max(last, id);
  for (const { id } of added_tokens) last = Math.max(last, id);
  return last + 1;
}

/**
 * The same tokenizer in terms that @huggingface/tokenizers computes as the Rust original does. Its own `Digits` sees
 * ASCII digits only, and its `ByteLevel` splits by JavaScript's \s (with U+FEFF, without U+0085); its `Split`
 * translates Unicode classes faithfully, so both become Splits.
 */
export function forLibrary(json: TokenizerJson): Record<string, unknown> {
  const translate = (step: Step): Step => {
    const inner = innerSteps(step);
    if (inner) return { type: 'Sequence', pretokenizers: inner.map(translate) };
    if (step.type === 'Digits') return split(step['individual_digits'] ? DIGIT_PATTERN : DIGITS_PATTERN);
    if (step.type !== 'ByteLevel' || step['use_regex'] === false) return step;
    return { type: 'Sequence', pretokenizers: [split(GPT2_PATTERN), { ...step, use_regex: false }] };
  };
  return {
    ...json,
    normalizer: json.normalizer ?? null,
    pre_tokenizer: json.pre_tokenizer ? translate(json.pre_tokenizer) : null,
    post_processor: json.post_processor ?? null,
    decoder: json.decoder ?? null,
    model: { ...json.model, type: 'BPE' },
  };
}

function split(pattern: string): Step {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

/** True when the file brings regular expressions of its own, which may backtrack without end. */
export function hasUnknownPatterns(json: TokenizerJson): boolean {
  return PARTS.flatMap((part) => stepsOf(json[part])).some((step) => {
    const pattern = (step['pattern'] as { Regex?: unknown } | undefined)?.Regex;
    return typeof pattern === 'string' && !KNOWN_PATTERNS.has(pattern);
  });
}
