/** What a well-formed response looks like. Every rule that is given has to hold. */
export interface FormatRules {
  /** Parts `<tag>...</tag>`, each once, in this order. */
  tags?: readonly string[];
  /** The template has opened the first tag already, so that the response begins inside it. */
  opened?: boolean;
  /** Nothing but white space outside of the tags. */
  nothingOutside?: boolean;
  /** No tag may be empty. */
  noEmpty?: boolean;
  /** Number of `\boxed{}` or `\fbox{}`, closed ones: just one, or at least one. */
  boxes?: 'one' | 'some';
  /** All boxes stand inside this tag, or behind all tags (`end`). */
  boxIn?: string;
}

/** Published shapes. */
export const FORMATS = {
  /** DeepSeek-R1's, as open-r1 and the AM dataset (arXiv 2503.19633, section 2.2.3) check it. */
  'think-answer': { tags: ['think', 'answer'], nothingOutside: true, noEmpty: true },
  /** A thought, then an answer of free form with one box. */
  'think-boxed': { tags: ['think'], boxes: 'one', boxIn: 'end' },
  /** One box, whatever else is said. */
  boxed: { boxes: 'one' },
} as const satisfies Record<string, FormatRules>;

export interface FormatReport {
  ok: boolean;
  /** Share of the single demands that hold: the partial credit of open-r1's `tag_count_reward`, for any rules. */
  share: number;
  /** The demands that do not hold, for a person. */
  broken: string[];
  /** What stands inside each tag that occurs just once, without outer white space. */
  parts: Record<string, string>;
}

/** Checks the shape of a response; whether it is right is another question. Time is linear in the text. */
export function formatCheck(text: string, rules: FormatRules): FormatReport {
  const { tags = [], opened = false } = rules;
  const whole = opened && tags[0] !== undefined ? `<${tags[0]}>${text}` : text;
  const spans = new Map(tags.map((tag) => [tag, spanOf(whole, tag)]));
  const demands = [...tagDemands(whole, rules, spans), ...boxDemands(whole, rules, spans)];
  const broken = demands.filter(([, holds]) => !holds).map(([what]) => what);
  return {
    ok: broken.length === 0,
    share: demands.length === 0 ? 1 : 1 - broken.length / demands.length,
    broken,
    parts: partsOf(whole, spans),
  };
}

type Demand = readonly [what: string, holds: boolean];

/** The inner part of a tag that is opened once and closed once, after that; `outer` has the tags too. */
interface Span {
  start: number;
  end: number;
  outerStart: number;
  outerEnd: number;
}

function spanOf(text: string, tag: string): Span | undefined {
  const [open, close] = [`<${tag}>`, `</${tag}>`];
  if (countOf(text, open) !== 1 || countOf(text, close) !== 1) return undefined;
  const outerStart = text.indexOf(open);
  const end = text.indexOf(close);
  const start = outerStart + open.length;
  return start > end ? undefined : { start, end, outerStart, outerEnd: end + close.length };
}

const countOf = (text: string, piece: string): number => text.split(piece).length - 1;

function partsOf(text: string, spans: ReadonlyMap<string, Span | undefined>): Record<string, string> {
  const found = [...spans].filter((entry): entry is [string, Span] => entry[1] !== undefined);
  return Object.fromEntries(found.map(([tag, { start, end }]) => [tag, text.slice(start, end).trim()]));
}

function tagDemands(text: string, rules: FormatRules, spans: ReadonlyMap<string, Span | undefined>): Demand[] {
  const tags = [...spans.keys()];
  const each = tags.flatMap((tag): Demand[] => [
    [`<${tag}> opens once`, countOf(text, `<${tag}>`) === 1],
    [`</${tag}> closes once`, countOf(text, `</${tag}>`) === 1],
  ]);
  const found = tags.map((tag) => spans.get(tag)).filter((span) => span !== undefined);
  const isWhole = found.length === tags.length;
  const inOrder = found.every((span, at) => at === 0 || (found[at - 1] as Span).outerEnd <= span.outerStart);
  if (tags.length > 0) each.push([`${tags.join(', ')} in this order`, isWhole && inOrder]);
  if (rules.noEmpty)
    each.push(['no tag is empty', isWhole && found.every(({ start, end }) => text.slice(start, end).trim() !== '')]);
  if (rules.nothingOutside)
    each.push(['nothing outside of the tags', isWhole && inOrder && outside(text, found) === '']);
  return each;
}

/** What stands before, between and behind spans in order. */
function outside(text: string, spans: readonly Span[]): string {
  const starts = [0, ...spans.map(({ outerEnd }) => outerEnd)];
  const ends = [...spans.map(({ outerStart }) => outerStart), text.length];
  return starts
    .map((start, at) => text.slice(start, ends[at]))
    .join('')
    .trim();
}

function boxDemands(text: string, rules: FormatRules, spans: ReadonlyMap<string, Span | undefined>): Demand[] {
  const demands: Demand[] = [];
  if (rules.boxes === undefined && rules.boxIn === undefined) return demands;
  const boxes = closedBoxes(text);
  if (rules.boxes === 'one') demands.push(['one box', boxes.length === 1]);
  if (rules.boxes === 'some') demands.push(['a box', boxes.length > 0]);
  if (rules.boxIn !== undefined) {
    const range = rules.boxIn === 'end' ? behind(text, spans) : spans.get(rules.boxIn);
    const holds = range !== undefined && boxes.every((at) => at >= range.start && at < range.end);
    demands.push([rules.boxIn === 'end' ? 'boxes behind all tags' : `boxes inside <${rules.boxIn}>`, holds]);
  }
  return demands;
}

/** The part behind all tags; undefined while one of them is broken. */
function behind(
  text: string,
  spans: ReadonlyMap<string, Span | undefined>,
): { start: number; end: number } | undefined {
  const ends = [...spans.values()].map((span) => span?.outerEnd ?? Infinity);
  const start = Math.max(0, ...ends);
  return start === Infinity ? undefined : { start, end: text.length };
}

/** Starts of the boxes whose brace is closed. One pass with a stack of open braces. */
function closedBoxes(text: string): number[] {
  const open: (number | undefined)[] = [];
  const closed: number[] = [];
  for (const match of text.matchAll(/\\(?:boxed|fbox)\s{0,8}\{|\\[^]|[{}]/g)) {
    const [sign] = match;
    if (sign === '{') open.push(undefined);
    else if (sign === '}') {
      const start = open.pop();
      if (start !== undefined) closed.push(start);
    } else if (sign.length > 2) open.push(match.index);
  }
  return closed.toSorted((a, b) => a - b);
}
