/** Where in a response an answer may stand. */
export type AnswerRule = 'boxed' | 'hash' | 'tag' | 'answer-line' | 'last-number';
export const ANSWER_RULES: readonly AnswerRule[] = ['boxed', 'hash', 'tag', 'answer-line', 'last-number'];

/** Rules in the order in which they are tried; `default` is all of them as listed in ANSWER_RULES. */
export type AnswerPolicy = 'default' | readonly AnswerRule[];

export interface ExtractedAnswer {
  answer: string;
  rule: AnswerRule;
}

/**
 * Reads the answer out of a response. Only what follows the last `</think>` counts. Rules, in the default order, each
 * taking its last occurrence:
 * `boxed`: \boxed{...} or \fbox{...} with balanced braces; `hash`: the rest of a line after ####; `tag`:
 * <answer>...</answer>; `answer-line`: the rest of a line after "Answer:"; `last-number`: the last number anywhere.
 * Time is linear in the text for every rule.
 * @returns undefined when no rule finds anything.
 */
export function extractAnswer(text: string, policy: AnswerPolicy = 'default'): ExtractedAnswer | undefined {
  const thought = text.lastIndexOf('</think>');
  const said = thought < 0 ? text : text.slice(thought + '</think>'.length);
  for (const rule of policy === 'default' ? ANSWER_RULES : policy) {
    const answer = EXTRACTORS[rule](said)?.trim();
    if (answer) return { answer, rule };
  }
  return undefined;
}

const EXTRACTORS: Readonly<Record<AnswerRule, (text: string) => string | undefined>> = {
  boxed: lastBoxed,
  hash: (text) => restOfLine(text, text.lastIndexOf('####'), 4),
  tag: lastTag,
  'answer-line': lastAnswerLine,
  'last-number': lastNumber,
};

/** One backslash, or two where a text has been escaped once too often. */
const BOX = /\\{1,2}(?:boxed|fbox)\s{0,8}\{/y;

/** One pass with a stack of open braces: the balanced box that starts last, so the inner one of two nested ones. */
function lastBoxed(text: string): string | undefined {
  const open: (number | undefined)[] = [];
  let best: { start: number; end: number } | undefined;
  for (let at = nextSign(text, 0); at < text.length; at = nextSign(text, at)) {
    BOX.lastIndex = at;
    if (text[at] === '{') {
      open.push(undefined);
      at += 1;
    } else if (text[at] === '}') {
      const start = open.pop();
      if (start !== undefined && start > (best?.start ?? -1)) best = { start, end: at };
      at += 1;
    } else if (BOX.test(text)) {
      open.push(BOX.lastIndex);
      at = BOX.lastIndex;
    } else {
      // A backslash takes the next character with it: \{ opens nothing.
      at += 2;
    }
  }
  return best ? text.slice(best.start, best.end) : undefined;
}

/** Position of the next brace or backslash, or the length of the text. */
function nextSign(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '{' && text[at] !== '}' && text[at] !== '\\') at++;
  return at;
}

function restOfLine(text: string, at: number, skip: number): string | undefined {
  if (at < 0) return undefined;
  const end = text.indexOf('\n', at);
  return text.slice(at + skip, end < 0 ? undefined : end);
}

function lastTag(text: string): string | undefined {
  const close = text.lastIndexOf('</answer>');
  const open = close < 0 ? -1 : text.lastIndexOf('<answer>', close);
  return open < 0 ? undefined : text.slice(open + '<answer>'.length, close);
}

/** "Answer: 5", "**Answer:** 5", also with the value on the next line; "Answer: The sum is 5. I hope so." gives 5. */
function lastAnswerLine(text: string): string | undefined {
  let found: string | undefined;
  for (const match of text.matchAll(/answer[ \t]{0,8}:(?:\*\*)?\s{0,8}([^\n]*)/gi)) found = match[1];
  const line = found?.replaceAll('**', '') ?? '';
  const sentenceEnd = line.search(/\.\s/);
  const sentence = sentenceEnd < 0 ? line : line.slice(0, sentenceEnd);
  const is = sentence.lastIndexOf(' is ');
  return is < 0 ? sentence : sentence.slice(is + ' is '.length);
}

/** Longest number that the last resort reads whole. */
const NUMBER_WINDOW = 400;
const DIGITS = String.raw`\d[\d,]*(?:\.\d+)?(?:\/\d+)?%?`;
const NUMBER = new RegExp(
  String.raw`-?\\[cdt]?frac\{[^{}]{1,100}\}\{[^{}]{1,100}\}|(?<![\w.)\]}])-${DIGITS}|${DIGITS}|\.\d+`,
  'g',
);
/** A number behind one of these is a part of something larger (a power, an index, an argument, a sum). */
const PART_OF_MORE = '^_{+-*×/';

/** The last number, looked for around the last digit alone; undefined when that digit is a part of a formula. */
function lastNumber(text: string): string | undefined {
  let at = text.length - 1;
  while (at >= 0 && !isDigit(text.charCodeAt(at))) at--;
  if (at < 0) return undefined;
  const window = text.slice(Math.max(0, at - NUMBER_WINDOW), at + 3);
  const last = [...window.matchAll(NUMBER)].at(-1);
  if (!last || PART_OF_MORE.includes(window[last.index - 1] ?? ' ')) return undefined;
  return last[0].replace(/,+$/, '');
}

const isDigit = (code: number) => code >= 48 && code <= 57;
