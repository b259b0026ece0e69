import type { TokenizerJson } from './tokenizer-json.js';

/** Two code points that Unicode keeps for use inside programs: they stand for what must not be read as markup. */
export interface Marks {
  /** Stands around the number of a control string that was taken out of a content. */
  hole: string;
  /** Stands before a control string that the template wrote. */
  control: string;
}

const NONCHARACTERS = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));

/** Two noncharacters that occur in none of the texts; undefined when fewer than two are left. */
export function freeMarks(texts: readonly string[]): Marks | undefined {
  const [hole, control] = NONCHARACTERS.filter((mark) => texts.every((text) => !text.includes(mark)));
  return hole === undefined || control === undefined ? undefined : { hole, control };
}

/** The strings that a tokenizer reads as control tokens, and how they are hidden from it in contents. */
export class ControlStrings {
  /** The longest first: where two begin at one place the tokenizer takes the longer. */
  readonly strings: readonly string[];
  readonly #pattern: RegExp | undefined;

  constructor(strings: readonly string[]) {
    this.strings = [...new Set(strings)].sort((a, b) => b.length - a.length);
    const alternatives = this.strings.map((string) => string.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    this.#pattern = alternatives.length === 0 ? undefined : new RegExp(alternatives.join('|'), 'g');
  }

  /** Whether a text holds a control string, or ends with the beginning of one that a neighbour could complete. */
  concern(text: string): boolean {
    return this.#begun(text) || (this.#pattern !== undefined && text.search(this.#pattern) >= 0);
  }

  #begun(text: string): boolean {
    return this.strings.some((string) => {
      for (let length = 1; length < string.length; length++) if (text.endsWith(string.slice(0, length))) return true;
      return false;
    });
  }

  /** A content without control strings: a numbered hole stands where each was. */
  hide(content: string, { hole }: Marks): string {
    if (!this.#pattern) return content;
    const hidden = content.replace(this.#pattern, (string) => `${hole}${this.strings.indexOf(string)}${hole}`);
    return this.#begun(content) ? `${hidden}${hole}` : hidden;
  }

  /** A rendered text with the template's control strings marked, and those of the contents back as they were. */
  reveal(rendered: string, { hole, control }: Marks): string {
    if (!this.#pattern) return rendered;
    return rendered
      .replace(this.#pattern, (string) => `${control}${string}`)
      .replace(new RegExp(`${hole}(\\d+)${hole}`, 'g'), (_, index: string) => this.strings[Number(index)] ?? '')
      .replaceAll(hole, '');
  }
}

/**
 * The tokenizer that reads `mark` and a control string as the control token, and the string alone as the plain text
 * that transformers makes of it with `split_special_tokens`; unlike there, the vocabulary's own merges cannot give the
 * control token either.
 */
export function withMarkedControls(json: TokenizerJson, controls: readonly string[], mark: string): TokenizerJson {
  const hidden = new Set(controls);
  const { vocab, merges, unk_token } = json.model;
  const entries = Object.entries(vocab).filter(([token]) => token === unk_token || !hidden.has(token));
  const joined = (merge: string | string[]): string =>
    (typeof merge === 'string' ? merge.split(' ', 2) : merge).join('');
  return {
    ...json,
    added_tokens: json.added_tokens.map((token) =>
      hidden.has(token.content) ? { ...token, content: `${mark}${token.content}`, normalized: false } : token,
    ),
    model: {
      ...json.model,
      vocab: Object.fromEntries(entries),
      merges: merges.filter((merge) => !hidden.has(joined(merge))),
    },
  };
}
