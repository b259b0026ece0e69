import { LimitReached } from './limits.js';
import { parseMaths } from './parser.js';
import {
  boxSpans,
  formulas,
  joins,
  lastRun,
  outsideOf,
  percentAfter,
  proseLength,
  withoutDelimiters,
  type Span,
} from './spans.js';

/** Where in a reply an answer may stand. */
export type AnswerPlace =
  | 'boxed'
  | 'tag'
  | 'hash'
  | 'final-answer'
  | 'answer-line'
  | 'answer-is'
  | 'whole'
  | 'prose'
  | 'math'
  | 'conclusion'
  | 'bracket'
  | 'letter'
  | 'last-number';

/** `required`: nothing counts before </think>, and a reply that never closes its thought has no answer. */
export type ThinkingRule = 'required' | 'optional' | 'none';

export interface Found {
  /** Texts to read as the answer, best first; the first that can be read decides. */
  readings: readonly string[];
  place: AnswerPlace;
}

/** What closes a thought: the tag of R1, the mark of Sky-T1's system prompt, and DeepScaleR's separator. */
const CLOSES = ['</think>', '<|end_of_thought|>', '###Response'];
/** Longest text whose last lines are searched; marks further up are no final answer. */
const MAX_TEXT = 200_000;

/** What a reply says after its thoughts; undefined when they are not closed and have to be. */
export function spokenPart(text: string, thinking: ThinkingRule): string | undefined {
  if (thinking === 'none') return text;
  const ends = CLOSES.map((mark) => (text.includes(mark) ? text.lastIndexOf(mark) + mark.length : -1));
  const end = Math.max(...ends);
  if (end >= 0) return text.slice(end);
  return thinking === 'required' ? undefined : text;
}

/** TeX takes the next sign where a box has no braces: \boxed 7. A number or word is meant as a whole. */
const BARE_BOX = /\\boxed\s+(-?[\w.,]*\w)(?![{\\^_/])/g;

/** Tokens of chat templates that some servers leave in the text. */
const CHAT_TOKENS =
  /<\|(?:im_start|im_end|eot_id|endoftext|end|start_header_id|end_header_id)\|>(?:assistant|user|system)?/g;

/**
 * Reads the answer out of what a reply says. `places` are groups in order of trust; within a group the place that
 * stands last in the text wins.
 */
export function findAnswer(text: string, places: readonly (readonly AnswerPlace[])[]): Found | undefined {
  const said = (text.length > MAX_TEXT ? text.slice(-MAX_TEXT) : text)
    .replace(CHAT_TOKENS, '')
    .replace(BARE_BOX, '\\boxed{$1}');
  for (const group of places) {
    let best: { at: number; found: Found } | undefined;
    for (const place of group) {
      const hit = FINDERS[place](said);
      const readings = hit?.readings.map((reading) => reading.trim()).filter((reading) => reading !== '') ?? [];
      if (hit && readings.length > 0 && hit.at > (best?.at ?? -1))
        best = { at: hit.at, found: { readings: [...new Set(readings)], place } };
    }
    if (best) return best.found;
  }
  return undefined;
}

/** "Answer:" in the languages of the multilingual benchmarks (MGSM and lighteval's). */
const ANSWER_LABEL =
  /(?:answer|réponse|antwort|respuesta|risposta|resposta|odpowiedź|cevap|ответ|відповідь|答案|答え|回答|정답|답|الإجابة|الجواب|उत्तर|คำตอบ)\s{0,4}(?:\*\*)?\s{0,4}[:：]/giu;

interface Hit {
  at: number;
  readings: readonly string[];
}

const FINDERS: Readonly<Record<AnswerPlace, (text: string) => Hit | undefined>> = {
  boxed,
  tag,
  hash,
  'final-answer': (text) =>
    line(text, /final answer(?:\s+is)?\s*:?(?:\*\*|\s)*(?:the )?(?:final )?(?:answer is\s*:?)?/gi),
  'answer-line': (text) => line(text, ANSWER_LABEL),
  'answer-is': (text) =>
    line(
      text,
      /(?:answer|result|solution|value|réponse)\s+(?:is|are|est)(?![a-z])(?:\s+(?:given by|equal to|thus|therefore))?\s*:?/gi,
    ),
  whole,
  prose: (text) => ({ at: 0, readings: text.length > 400 ? [] : [withoutDelimiters(text)] }),
  math: lastMath,
  conclusion,
  bracket: (text) => {
    const hits = [...text.matchAll(/\[([^[\]\n]{1,400})\]/g)];
    const last = hits.at(-1);
    return last && { at: last.index, readings: [withoutDelimiters(last[1] as string)] };
  },
  letter,
  'last-number': lastNumber,
};

// ---- boxes and formulas ----

/** The last box, together with those before it that belong to the same answer: \boxed{1} and \boxed{2}. */
function boxed(text: string): Hit | undefined {
  const boxes = boxSpans(text);
  const last = boxes.at(-1);
  if (!last) return undefined;
  const together = [last];
  for (let index = boxes.length - 2; index >= 0; index--) {
    const [box, next] = [boxes[index] as Span, together[0] as Span];
    if (!joins(text.slice(box.end, next.start))) break;
    together.unshift(box);
  }
  const content = together.map((box) => withoutDelimiters(box.content)).join(' , ');
  return { at: last.start, readings: [content + percentAfter(text, last.end)] };
}

/** Length of text in which formulas are looked for. */
const MATH_WINDOW = 6000;

/** The last formula, with those before it that are joined to it by "and", "or" or a comma. */
function lastMath(text: string): Hit | undefined {
  const offset = Math.max(0, text.length - MATH_WINDOW);
  const run = lastRun(text.slice(offset));
  return run && { at: offset + run.at, readings: [run.content, ...(lastNumber(run.content)?.readings ?? [])] };
}

/** A sentence that ends or an announcement, before more text; the colon of a ratio (3 : 2) is none. */
const SENTENCES = /[.!?]\s+\S|:\s+(?!\d)\S|(?<!\d\s?):\s+\S/;

/** The whole reply, where it is an answer and nothing else: a bare expression, or formulas with joining words and units. */
function whole(text: string): Hit | undefined {
  const trimmed = text.trim();
  if (trimmed.length > 400 || SENTENCES.test(trimmed) || /^(?:[a-zA-Z]{2,}|I)\s+[a-zA-Z]/.test(trimmed))
    return undefined;
  const spans = formulas(trimmed);
  const [first] = spans;
  const outside = first ? outsideOf(trimmed, spans) : trimmed.replace(/\\[a-zA-Z]+(?:\{[a-zA-Z *]*\})?/g, '');
  if (first && (/[a-zA-Z]/.test(trimmed.slice(0, first.start)) || proseLength(outside) > 25)) return undefined;
  if (!first && (outside.match(/[a-zA-Z]{3,}/g)?.length ?? 0) > 3) return undefined;
  return isReadable(withoutDelimiters(trimmed)) ? { at: 0, readings: [withoutDelimiters(trimmed)] } : undefined;
}

/** Whether a text is mathematics that is understood. */
export function isReadable(text: string): boolean {
  if (/^\s*[+-]?\d+(?:\.\d+)?\s*$/.test(text)) return true;
  try {
    const parsed = parseMaths(text);
    return 'node' in parsed && parsed.node.kind !== 'text';
  } catch (error) {
    if (error instanceof LimitReached) return false;
    throw error;
  }
}

// ---- marked lines ----

function tag(text: string): Hit | undefined {
  const close = text.lastIndexOf('</answer>');
  const open = close < 0 ? -1 : text.lastIndexOf('<answer>', close);
  return open < 0 ? undefined : { at: open, readings: readingsOf(text.slice(open + '<answer>'.length, close)) };
}

function hash(text: string): Hit | undefined {
  const at = text.lastIndexOf('####');
  return at < 0 ? undefined : { at, readings: readingsOf(firstLine(text.slice(at + 4))) };
}

/** What stands behind the last match of a mark, on its line or, when that is empty, the next. */
function line(text: string, mark: RegExp): Hit | undefined {
  const last = [...text.matchAll(mark)].at(-1);
  if (!last) return undefined;
  return { at: last.index, readings: readingsOf(firstLine(text.slice(last.index + last[0].length))) };
}

function firstLine(text: string): string {
  const rest = text.replace(/^(?:\s|\*\*|:)+/, '');
  // Displayed formulas may go over several lines, and several may follow each other.
  const display = /^(?:(?:\$\$[^]*?\$\$|\\\[[^]*?\\\])[\s,;]*)+/.exec(rest)?.[0];
  const line = display ?? rest.slice(0, 4000).split('\n', 1)[0] ?? '';
  return line.replace(/\**\s*$/, '').replace(/\.?\s*I hope it is correct\.?.*$/i, '');
}

/**
 * Ways to read a marked stretch of text, best first: its formulas when they end it, the whole, the sentence before a full
 * stop, what follows the last "is", the last number.
 */
function readingsOf(region: string): string[] {
  const whole = region.replace(/^\s*["*\s]+|["*\s]+$/g, '');
  const sentence = /^(.*?)[.;](?:\s|$)/s.exec(whole)?.[1] ?? whole;
  const inBox = boxed(whole);
  if (inBox) return [...inBox.readings];
  const readings: string[] = [];
  const run = lastRun(whole);
  if (run && !/\d|\$|\\/.test(whole.slice(run.end))) readings.push(run.content);
  readings.push(withoutDelimiters(whole), withoutDelimiters(sentence));
  const is = Math.max(sentence.lastIndexOf(' is '), sentence.lastIndexOf(' are '), sentence.lastIndexOf(' be '));
  if (is >= 0) readings.push(withoutDelimiters(sentence.slice(is + 4)));
  const price = priceIn(sentence);
  if (price !== undefined) readings.push(price);
  const number = lastNumber(sentence);
  if (number) readings.push(...number.readings);
  return readings;
}

/** The only amount of money in a sentence of prose: what is asked for, whatever other numbers stand there. */
function priceIn(sentence: string): string | undefined {
  const prices = [...sentence.matchAll(/\\?[$€£¥]\s?(\d[\d,]*(?:\.\d+)?)|(\d[\d,]*(?:\.\d+)?)\s?\\?[$€£¥]/g)];
  return prices.length === 1 ? (prices[0]?.[1] ?? prices[0]?.[2]) : undefined;
}

/** Ways to read a gold answer: its box, its formulas where nothing but units and joining words is around them, the whole. */
export function goldReadings(gold: string): string[] {
  const box = boxed(gold);
  if (box) return [...box.readings, gold];
  const spans = formulas(gold);
  const run = lastRun(gold);
  if (!run) return [withoutDelimiters(gold), ...saidGold(gold)];
  const isProse = proseLength(outsideOf(gold, spans)) > 25;
  const joined = withoutDelimiters(gold);
  const coversAll = run.at === (spans[0] as Span).start;
  if (isProse) return [joined, run.content];
  return coversAll ? [run.content, joined] : [joined, run.content];
}

/** A gold answer that was written as a sentence: "the answer is 0.25 + 3". */
function saidGold(gold: string): string[] {
  const said = isReadable(gold) ? undefined : findAnswer(gold, [['final-answer'], ['answer-line'], ['answer-is']]);
  return said?.readings.filter(isReadable).slice(0, 1) ?? [];
}

/** A last sentence of words that begins with "therefore" and has a number, but no formula, in it. */
function conclusion(text: string): Hit | undefined {
  const offset = Math.max(0, text.length - 600);
  const last = [...text.slice(offset).matchAll(/\b(?:therefore|thus|hence|so|in conclusion|consequently)\b,?\s/gi)].at(
    -1,
  );
  if (!last) return undefined;
  const at = offset + last.index;
  const sentence = /^.*?(?=[.!?](?:\s|$)|$)/s.exec(text.slice(at))?.[0] ?? '';
  if (/[$\\=]/.test(text.slice(at))) return undefined;
  const number = lastNumber(sentence);
  return number && { at, readings: number.readings };
}

// ---- letters and numbers ----

const LETTER_MARKS: readonly RegExp[] = [
  /(?:answer|réponse|réponse finale|antwort|respuesta|答案)\s*(?:is|est|ist|es|是|为)?\s*[:：]?\s*(?:\*\*)?\(?([A-Z])\)?(?![a-zA-Z'])/giu,
  /^\s*(?:\*\*)?\(?([A-Z])\)?(?:\*\*)?(?=[.,:;)。，、\p{sc=Han}]|\s|$)/gmu,
  /(?:^|[\s(*])([A-Z])(?=[\s).,:;*。，]|$)/gu,
];

/** An option letter that stands alone: behind "answer", at the start of a line, anywhere. */
function letter(text: string): Hit | undefined {
  const box = boxed(text);
  const inBox = box && /^\W*(?:\\text(?:bf)?\s*\{)?\W*([A-Z])(?![a-zA-Z])/.exec(box.readings[0] as string);
  if (box && inBox) return { at: box.at, readings: [inBox[1] as string] };
  for (const mark of LETTER_MARKS) {
    const hits = [...text.matchAll(mark)].filter(
      (match) =>
        /[A-Z]/.test(match[1] as string) &&
        !(match[1] === 'I' || (match[1] === 'A' && /^\s+[a-z]/.test(text.slice(match.index + match[0].length)))),
    );
    const hit = mark === LETTER_MARKS[0] ? hits[0] : mark === LETTER_MARKS[1] ? hits[0] : hits[0];
    if (hit) return { at: hit.index, readings: [hit[1] as string] };
  }
  return undefined;
}

const NUMBER_WINDOW = 400;
const DIGITS = String.raw`(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?![\d ]*\d)|\d+)(?:[.,]\d+)?(?:[eE][+-]?\d+(?!\w))?(?:\s*\/\s*\d+)?(?:\s?\\?%| percent\b| pct\b)?|\.\d+`;
const NUMBER = new RegExp(
  String.raw`-?\\[cdt]?frac\{[^{}]{1,100}\}\{[^{}]{1,100}\}|(?<![\w.)\]}])[-−](?:${DIGITS})|(?<![A-Za-z_^])(?:${DIGITS})`,
  'g',
);

/** The last number, looked for around the last digit alone. */
function lastNumber(text: string): Hit | undefined {
  let at = text.length - 1;
  while (at >= 0 && !isDigit(text.charCodeAt(at))) at--;
  if (at < 0) return undefined;
  const offset = Math.max(0, at - NUMBER_WINDOW);
  const last = [...text.slice(offset, at + 10).matchAll(NUMBER)].at(-1);
  if (!last) return undefined;
  if (/[\^_]\{?$/.test(text.slice(Math.max(0, offset + last.index - 2), offset + last.index))) return undefined;
  return { at: offset + last.index, readings: [last[0].replace(/,+$/, '').replace('−', '-')] };
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
