import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import { readJson } from './files.js';
import { parseWith } from './parse.js';
import { ControlStrings, freeMarks, type Marks, withMarkedControls } from './shield.js';
import { withTimeLimit } from './time-limit.js';
import { bytesOfToken, vocabularyKind, type VocabularyKind } from './token-bytes.js';
import {
  forLibrary,
  hasUnknownPatterns,
  parseTokenizerJson,
  vocabularySize,
  type TokenizerJson,
} from './tokenizer-json.js';
import type { ShieldedContents, Tokenizer } from './types.js';

/** The largest published tokenizer.json (262,144 tokens) is 33 MB. */
export const MAX_TOKENIZER_BYTES = 64 * 1024 * 1024;
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
/** Time for one `encode` under regular expressions that came with the file. Other work is linear in the text. */
const ENCODE_LIMIT_MS = 5000;

const tokenName = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const specialTokens = z.looseObject({
  bos_token: tokenName,
  eos_token: tokenName,
  pad_token: tokenName,
  unk_token: tokenName,
});
const tokenIds = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish();
const replyEnds = z.looseObject({ eos_token_id: tokenIds });
const modelSize = z.looseObject({ vocab_size: z.int().positive().optional() });

/** The special tokens of a model folder as text, where it names them. */
export interface SpecialTokenNames {
  bos: string | undefined;
  eos: string | undefined;
  pad: string | undefined;
  unk: string | undefined;
}

/** bos, eos, pad and unk tokens from tokenizer_config.json, else special_tokens_map.json. */
export async function readSpecialTokens(folder: string): Promise<SpecialTokenNames> {
  const files = [join(folder, 'tokenizer_config.json'), join(folder, 'special_tokens_map.json')];
  const [config, map] = await Promise.all(
    files.map(async (file) => parseWith(specialTokens, (await readJson(file, MAX_CONFIG_BYTES)) ?? {}, file)),
  );
  const pick = (key: 'bos_token' | 'eos_token' | 'pad_token' | 'unk_token'): string | undefined => {
    const found = config?.[key] ?? map?.[key] ?? undefined;
    return typeof found === 'object' ? found.content : found;
  };
  return { bos: pick('bos_token'), eos: pick('eos_token'), pad: pick('pad_token'), unk: pick('unk_token') };
}

/**
 * Loads the tokenizer of a model folder: tokenizer.json, the special tokens of tokenizer_config.json or
 * special_tokens_map.json, and the ids that end a reply (eos_token and generation_config.json's eos_token_id; where
 * neither names one, config.json's).
 * @throws HoneError('input') when tokenizer.json is missing, damaged or of a kind hone cannot reproduce, and when it
 *   has more tokens than the config.json beside it gives the model.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const file = join(folder, 'tokenizer.json');
  const source = await readJson(file, MAX_TOKENIZER_BYTES);
  if (source === undefined)
    throw new HoneError('input', 'has no tokenizer.json', {
      where: folder,
      hint: 'Copy the tokenizer files of the model into the folder, or import the model again.',
    });
  const json = parseTokenizerJson(source, file);
  const names = await readSpecialTokens(folder);
  const eosIds = await readEosIds(folder);
  await checkFit(folder, vocabularySize(json));
  return new FolderTokenizer(json, file, names, eosIds);
}

async function readEosIds(folder: string): Promise<{ generation: number[]; model: number[] }> {
  const idsIn = async (name: string) => {
    const file = join(folder, name);
    const { eos_token_id: ids } = parseWith(replyEnds, (await readJson(file, MAX_CONFIG_BYTES)) ?? {}, file);
    return ids === null || ids === undefined ? [] : [ids].flat();
  };
  return { generation: await idsIn('generation_config.json'), model: await idsIn('config.json') };
}

async function checkFit(folder: string, tokens: number): Promise<void> {
  const file = join(folder, 'config.json');
  const { vocab_size } = parseWith(modelSize, (await readJson(file, MAX_CONFIG_BYTES)) ?? {}, file);
  if (vocab_size !== undefined && tokens > vocab_size)
    throw new HoneError(
      'input',
      `tokenizer does not fit: it has ${tokens} tokens, but config.json gives the model ${vocab_size}`,
      { where: join(folder, 'tokenizer.json'), hint: 'Use the tokenizer the model was trained with.' },
    );
}

class FolderTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  readonly #kind: VocabularyKind;
  readonly #library: LibraryTokenizer;
  readonly #special: ReadonlySet<number>;
  readonly #added: ReadonlyMap<number, string>;
  readonly #limited: boolean;
  /** Special tokens as they are written; those that end a reply count, whatever the file calls them. */
  readonly #controls: ControlStrings;
  /** Tokenizers that see control tokens only behind a mark, by mark. */
  readonly #marked = new Map<string, LibraryTokenizer>();
  /** Every character of a text must be in the vocabulary: nothing normalises, splits or replaces it. */
  readonly #exact: boolean;

  constructor(
    private readonly json: TokenizerJson,
    private readonly file: string,
    names: SpecialTokenNames,
    eos: { generation: number[]; model: number[] },
  ) {
    this.vocabSize = vocabularySize(json);
    this.#kind = vocabularyKind(json);
    this.#library = createLibraryTokenizer(json, file);
    this.#special = new Set(json.added_tokens.filter((token) => token.special).map((token) => token.id));
    this.#added = new Map(json.added_tokens.map((token) => [token.id, token.content]));
    this.#limited = hasUnknownPatterns(json);
    this.#exact = this.#kind === 'plain' && !json.model.unk_token && !json.normalizer && !json.pre_tokenizer;
    this.bosId = this.#idOf(names.bos, 'bos_token');
    this.padId = this.#idOf(names.pad, 'pad_token');
    const named = this.#idOf(names.eos, 'eos_token');
    const ids = [...(named === undefined ? [] : [named]), ...eos.generation];
    this.eosIds = [...new Set(ids.length > 0 ? ids : eos.model)];
    const ends = [this.bosId, ...this.eosIds];
    const controls = json.added_tokens.filter(({ id, special }) => special || ends.includes(id));
    this.#controls = new ControlStrings(controls.map(({ content }) => content));
  }

  encode(text: string, options: { addSpecial?: boolean } = {}): Int32Array {
    const ids = this.#run(this.#library, text, options.addSpecial ?? false);
    if (this.#exact) this.#checkNothingLost(text, ids);
    return Int32Array.from(ids);
  }

  shield(contents: readonly string[]): ShieldedContents {
    if (!contents.some((content) => this.#controls.concern(content)))
      return { contents, encode: (text) => this.encode(text) };
    const marks = freeMarks(contents);
    if (marks === undefined)
      throw new HoneError('input', 'a text holds both special tokens and all noncharacters U+FDD0 to U+FDEF', {
        hint: 'Remove the noncharacters from the data.',
      });
    return {
      contents: contents.map((content) => this.#controls.hide(content, marks)),
      encode: (text) => this.#encodeShielded(text, marks),
    };
  }

  #encodeShielded(rendered: string, marks: Marks): Int32Array {
    const text = this.#controls.reveal(rendered, marks);
    const ids = this.#run(this.#markedLibrary(marks.control), text, false);
    if (this.#exact) this.#checkNothingLost(text.replaceAll(marks.control, ''), ids);
    return Int32Array.from(ids);
  }

  #markedLibrary(mark: string): LibraryTokenizer {
    const known = this.#marked.get(mark);
    if (known) return known;
    const json = withMarkedControls(this.json, this.#controls.strings, mark);
    const library = createLibraryTokenizer(json, this.file);
    this.#marked.set(mark, library);
    return library;
  }

  /** Ids of a text. @throws HoneError('input') where the file's patterns do not end, or name a token that is not there. */
  #run(library: LibraryTokenizer, text: string, addSpecial: boolean): number[] {
    // undefined: a token that the post-processor or unk_token names, but the vocabulary lacks.
    const run = (): (number | undefined)[] => library.encode(text, { add_special_tokens: addSpecial }).ids;
    const hint = `The regular expressions in ${this.file} do not end on this text: use another tokenizer.`;
    const found = this.#guard(() =>
      this.#limited ? withTimeLimit(ENCODE_LIMIT_MS, 'encoding a text', hint, run) : run(),
    );
    const ids = found.filter((id) => id !== undefined);
    if (ids.length < found.length)
      throw new HoneError('input', 'names a special token that is not in its vocabulary', { where: this.file });
    return ids;
  }

  decode(tokens: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    const skip = options.skipSpecial ?? true;
    const known = Array.from(tokens).filter((id) => this.#library.id_to_token(id) !== undefined);
    const kept = skip ? known.filter((id) => !this.#special.has(id)) : known;
    if (kept.length === 0) return '';
    return this.#guard(() =>
      this.#library.decode(kept, { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
    );
  }

  tokenBytes(id: number): Uint8Array {
    const token = this.#library.id_to_token(id);
    if (token === undefined || this.#special.has(id)) return new Uint8Array(0);
    return bytesOfToken(token, this.#added.has(id) ? 'plain' : this.#kind);
  }

  /** What the library throws on steps that are malformed in ways not checked beforehand. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof HoneError) throw error;
      const message = `cannot be used (${messageOf(error).slice(0, 200)})`;
      throw new HoneError('input', message, { where: this.file, cause: error });
    }
  }

  #idOf(name: string | undefined, field: string): number | undefined {
    if (name === undefined) return undefined;
    const id = this.#library.token_to_id(name);
    if (id === undefined)
      throw new HoneError('input', `${field} ${JSON.stringify(name)} is not in the vocabulary`, { where: this.file });
    return id;
  }

  /** The library, as the original, drops characters it has no token for; here that is an error. */
  #checkNothingLost(text: string, ids: readonly number[]): void {
    let position = 0;
    for (const id of ids) {
      const token = this.#library.id_to_token(id) ?? '';
      // Tokens that a post-processor added (BOS, EOS) are not part of the text.
      if (text.startsWith(token, position)) position += token.length;
      else if (!this.#special.has(id)) break;
    }
    if (position === text.length) return;
    const character = String.fromCodePoint(text.codePointAt(position) ?? 0);
    throw new HoneError('input', `character ${JSON.stringify(character)} is not in the tokenizer's alphabet`, {
      where: this.file,
      hint: 'Use only characters of the alphabet, or build the tokenizer with a larger one.',
    });
  }
}

function createLibraryTokenizer(json: TokenizerJson, file: string): LibraryTokenizer {
  try {
    return new LibraryTokenizer(forLibrary(json), {});
  } catch (error) {
    throw new HoneError('input', `cannot be used (${messageOf(error).slice(0, 200)})`, { where: file, cause: error });
  }
}
