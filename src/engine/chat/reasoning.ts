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

/** Tells thoughts from answer while text arrives; a tag that is split over two pieces is held back until it is whole. */
export class ReasoningSplitter {
  #state: 'start' | 'thinking' | 'answer';
  #held = '';
  readonly #emit: (kind: 'reasoning' | 'content', text: string) => void;

  constructor(emit: (kind: 'reasoning' | 'content', text: string) => void, startsInside = false) {
    this.#emit = emit;
    this.#state = startsInside ? 'thinking' : 'start';
  }

  push(text: string): void {
    this.#held += text;
    if (this.#state === 'start') this.#begin();
    if (this.#state === 'thinking') this.#think();
    if (this.#state === 'answer') this.#flush('content');
  }

  /** The text is complete. */
  end(): void {
    this.#flush(this.#state === 'thinking' ? 'reasoning' : 'content');
  }

  #begin(): void {
    const start = this.#held.trimStart();
    if (start.startsWith(OPEN)) {
      this.#held = start.slice(OPEN.length);
      this.#state = 'thinking';
    } else if (!OPEN.startsWith(start)) this.#state = 'answer';
  }

  #think(): void {
    const close = this.#held.indexOf(CLOSE);
    if (close < 0) {
      const safe = this.#held.length - overlap(this.#held, CLOSE);
      this.#tell('reasoning', this.#held.slice(0, safe));
      this.#held = this.#held.slice(safe);
      return;
    }
    this.#tell('reasoning', this.#held.slice(0, close));
    this.#held = this.#held.slice(close + CLOSE.length);
    this.#state = 'answer';
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
