/** Stretches of a text that are marked as mathematics: boxes, and formulas between their delimiters. */

// ---- boxes ----

/** One backslash, or two where a text has been escaped once too often; formfeed and backspace eat a letter. */
const BOX = /(?:\\{1,2}|\u0008)(?:boxed|fbox|oxed)\s{0,8}\{/g;

export interface Span {
  start: number;
  end: number;
  content: string;
}

/**
 * Boxes in order, the inner one of two nested ones, in one pass with a stack of open braces. A box that is never closed
 * ends with its line, and counts where no closed one follows.
 */
export function boxSpans(text: string): Span[] {
  const spans: Span[] = [];
  const open: ({ start: number; from: number } | undefined)[] = [];
  let last: { start: number; from: number } | undefined;
  for (const sign of text.matchAll(SIGN)) {
    if (sign[0] === '{') open.push(undefined);
    else if (sign[0] === '}') {
      const box = open.pop();
      if (box && !((spans.at(-1)?.start ?? -1) > box.start))
        spans.push({ start: box.start, end: sign.index + 1, content: text.slice(box.from, sign.index) });
    } else if (sign[0].endsWith('{') && sign[0].length > 2) {
      last = { start: sign.index, from: sign.index + sign[0].length };
      open.push(last);
    }
  }
  if (last && last.start > (spans.at(-1)?.start ?? -1)) {
    const end = lineEnd(text, last.from);
    spans.push({ start: last.start, end, content: text.slice(last.from, end) });
  }
  return spans;
}

/** The opening of a box, an escaped character, a brace. */
const SIGN = new RegExp(String.raw`${BOX.source}|\\[^]|[{}]`, 'g');
/** Longest content of a box that is not closed. */
const MAX_BOX = 20_000;

function lineEnd(text: string, from: number): number {
  const end = text.slice(from, from + MAX_BOX).search(/\n|\$(?=[\s.,]|$)/);
  return end < 0 ? Math.min(text.length, from + MAX_BOX) : from + end;
}

/** Text between two boxes or formulas of one answer: "and", "or", a comma, next to nothing. */
export function joins(gap: string): boolean {
  if (gap.length > 60 || /\n\s*\n/.test(gap)) return false;
  const words = gap
    .replace(/\\text(?:bf|rm)?\s*\{([^{}]*)\}/g, '$1')
    .replace(/\\q?quad|\$|\\[()[\],;: ]|[\s*]/g, ' ')
    .trim();
  if (/^[^a-zA-Z]{0,10}$/.test(words) && !/[.!?]\s/.test(gap)) return true;
  if (/\b(?:thus|but|so|then|not|therefore|hence|no|wait)\b/i.test(words)) return false;
  return words.length <= 30 && !/[.!?]\s/.test(words) && /(?:^|[\s,])(?:and|or)(?:$|[\s,])|,/i.test(words);
}

/** A percent sign or word behind a formula belongs to it. */
export function percentAfter(text: string, end: number): string {
  return /^(?:\s|\$|\\[)\]])*(?:\\?%|percent(?:age)?\b|pct\b)/i.test(text.slice(end, end + 20)) ? ' \\%' : '';
}

// ---- formulas in $...$, \(...\), \[...\] ----

const FORMULA =
  /\$\$((?:[^$]|\\\$){1,4000}?)\$\$|(?<!\\)\$((?:[^$\n\\]|\\[^\n]){1,2000})\$|\\\(([^]{1,2000}?)\\\)|\\\[([^]{1,4000}?)\\\]/g;

export function formulas(text: string): Span[] {
  return [...text.matchAll(FORMULA)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    content: match[1] ?? match[2] ?? match[3] ?? match[4] ?? '',
  }));
}

export interface Run {
  at: number;
  end: number;
  content: string;
}

export function lastRun(text: string): Run | undefined {
  const spans = formulas(text);
  const last = spans.at(-1);
  if (!last) return undefined;
  const together = [last];
  for (let index = spans.length - 2; index >= 0; index--) {
    const span = spans[index] as Span;
    if (!joins(text.slice(span.end, (together[0] as Span).start))) break;
    together.unshift(span);
  }
  const content = together.map((span) => span.content).join(' , ') + percentAfter(text, last.end);
  return { at: (together[0] as Span).start, end: last.end, content };
}

/** Text without the signs that open and close formulas; an escaped dollar stays. */
export function withoutDelimiters(text: string): string {
  return text.replace(/(?<!\\)\$/g, ' ').replace(/\\[()[\]]/g, ' ');
}

export const outsideOf = (text: string, spans: readonly Span[]): string =>
  spans.reduceRight((left, span) => `${left.slice(0, span.start)} ${left.slice(span.end)}`, text);

/** Letters that are neither joining words nor percent. */
export const proseLength = (text: string): number => text.replace(/\b(?:and|or|percent|pct)\b|[\s,.;%\\]/gi, '').length;
