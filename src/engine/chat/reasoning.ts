const OPEN = '<think>';
const CLOSE = '</think>';

export interface SplitText {
  content: string | undefined;
  reasoning: string | undefined;
}

/**
 * Splits generated text into thoughts and answer. Thoughts end at the last `</think>`, whether they were opened by the
 * text or by the prompt (templates of R1-like models end with `<think>`); text that opens thoughts and never closes
 * them has no answer. Line breaks at the borders belong to neither side.
 * @param startsInside the prompt has opened the thoughts.
 * @example splitReasoning('<think>\n2+2\n</think>\n\n4') // { reasoning: '2+2', content: '4' }
 */
export function splitReasoning(text: string, startsInside = false): SplitText {
  const close = text.lastIndexOf(CLOSE);
  if (close >= 0)
    return { reasoning: withoutOpening(text.slice(0, close)), content: trimStart(text.slice(close + CLOSE.length)) };
  const opened = startsInside || text.trimStart().startsWith(OPEN);
  return opened ? { reasoning: withoutOpening(text), content: undefined } : { reasoning: undefined, content: text };
}

/** A server that sends thoughts apart: the same borders as `splitReasoning`. */
export function joinSplit(reasoning: string, content: string | null | undefined, finish: string): SplitText {
  const cut = (content === null || content === undefined || content === '') && finish === 'length';
  return { reasoning: trimBoth(reasoning), content: cut ? undefined : trimStart(content ?? '') };
}

/** Text of an assistant turn from its parts. */
export function joinReasoning(reasoning: string | undefined, content: string | undefined): string {
  if (reasoning === undefined) return content ?? '';
  return content === undefined ? `${OPEN}\n${reasoning}` : `${OPEN}\n${reasoning}\n${CLOSE}\n\n${content}`;
}

function withoutOpening(text: string): string {
  const start = text.trimStart();
  return trimBoth(start.startsWith(OPEN) ? start.slice(OPEN.length) : text);
}

const trimStart = (text: string): string => text.replace(/^\s*\n/, '');
const trimBoth = (text: string): string => text.replace(/^\s*\n/, '').replace(/\n\s*$/, '');

/**
 * Tells thoughts from answer while text arrives, with the borders of `splitReasoning`: a tag that is split over two
 * pieces is held back until it is whole, and so are line breaks that may turn out to be a border.
 */
export class ReasoningSplitter {
  #state: 'start' | 'thinking' | 'answer';
  /** At the beginning of thoughts, or of an answer behind thoughts: line breaks there are dropped. */
  #atBorder: boolean;
  #held = '';
  readonly #emit: (kind: 'reasoning' | 'content', text: string) => void;

  constructor(emit: (kind: 'reasoning' | 'content', text: string) => void, startsInside = false) {
    this.#emit = emit;
    this.#state = startsInside ? 'thinking' : 'start';
    this.#atBorder = startsInside;
  }

  push(text: string): void {
    this.#held += text;
    if (this.#state === 'start') this.#begin();
    if (this.#state === 'thinking') this.#think();
    if (this.#state === 'answer' && this.#leaveBorder()) this.#flush('content');
  }

  /** The text is complete. */
  end(): void {
    const thinking = this.#state === 'thinking';
    if (this.#atBorder) this.#held = trimStart(this.#held);
    if (thinking) this.#held = this.#held.replace(/\n\s*$/, '');
    this.#flush(thinking ? 'reasoning' : 'content');
  }

  /** @returns false while nothing but space has come, which may be dropped yet. */
  #leaveBorder(): boolean {
    if (!this.#atBorder) return true;
    if (this.#held.trim() === '') return false;
    this.#held = trimStart(this.#held);
    this.#atBorder = false;
    return true;
  }

  #begin(): void {
    const start = this.#held.trimStart();
    if (start.startsWith(OPEN)) {
      this.#held = start.slice(OPEN.length);
      this.#state = 'thinking';
      this.#atBorder = true;
    } else if (!OPEN.startsWith(start)) this.#state = 'answer';
  }

  #think(): void {
    if (!this.#leaveBorder()) return;
    const close = this.#held.indexOf(CLOSE);
    const sure = this.#held.slice(0, close < 0 ? this.#held.length - overlap(this.#held, CLOSE) : close);
    const text = sure.replace(/\n\s*$/, '');
    this.#tell('reasoning', text);
    if (close < 0) {
      this.#held = this.#held.slice(text.length);
      return;
    }
    this.#held = this.#held.slice(close + CLOSE.length);
    this.#state = 'answer';
    this.#atBorder = true;
  }

  #flush(kind: 'reasoning' | 'content'): void {
    this.#tell(kind, this.#held);
    this.#held = '';
  }

  #tell(kind: 'reasoning' | 'content', text: string): void {
    if (text !== '') this.#emit(kind, text);
  }
}

/** Length of the longest end of `text` that begins `tag`. */
export function overlap(text: string, tag: string): number {
  let length = Math.min(text.length, tag.length - 1);
  while (length > 0 && !text.endsWith(tag.slice(0, length))) length--;
  return length;
}
