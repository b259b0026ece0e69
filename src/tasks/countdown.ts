import { z } from 'zod';
import type { RandomStream } from '../core/index.js';
import { leavesOf, parseExpression, valueOf, writeExpression, type Expression, type Operator } from './expression.js';
import { parseOptions } from './options.js';
import { drawnSource, type Draft } from './split.js';
import type { Problem, Response, Task, Verdict } from './types.js';
import { correct, noVerdict, wrong } from './verdicts.js';

const NAME = 'countdown';

const range = (low: number, high: number) => z.tuple([z.int().min(1), z.int().max(10_000)]).default([low, high]);

export const countdownOptions = z
  .strictObject({
    /** How many numbers are given. */
    count: z.int().min(2).max(6).default(3),
    /** Range of the given numbers, both ends included. */
    numbers: range(1, 9),
    /** Range of the target, both ends included. */
    target: range(1, 99),
    /** Whether an expression must use every number, or may leave some out. */
    useAll: z.boolean().default(false),
    /** Most wrong moves a search demonstration looks into before it takes the right one, at each level. */
    detours: z.int().min(0).max(5).default(2),
    /** `compact`: a few characters, for tiny models; `words`: a question and `<answer>` tags, for a chat model. */
    style: z.enum(['compact', 'words']).default('compact'),
  })
  .superRefine((options, context) => {
    for (const name of ['numbers', 'target'] as const)
      if (options[name][0] > options[name][1])
        context.addIssue({ code: 'custom', path: [name], message: 'low end above high end' });
  });
export type CountdownOptions = z.output<typeof countdownOptions>;

/** A number at hand and how it came about. */
interface Item {
  value: number;
  tree: Expression;
}

/** left op right as a whole number from 0 to `limit`; undefined when it is none. */
function combine(left: Item, operator: Operator, right: Item, limit: number): Item | undefined {
  const [a, b] = [left.value, right.value];
  if (operator === '/' && (b === 0 || a % b !== 0)) return undefined;
  const value = { '+': a + b, '-': a - b, '*': a * b, '/': a / b }[operator];
  return value < 0 || value > limit ? undefined : { value, tree: { operator, left: left.tree, right: right.tree } };
}

/** Results beyond ten times the largest number in sight are not looked at. */
const limitOf = ({ numbers, target }: CountdownOptions): number => 10 * Math.max(numbers[1], target[1]);

const OPERATORS: readonly Operator[] = ['+', '-', '*', '/'];

/** What can be done next: two of the items combined, the others kept. Sides of + and * in one order alone. */
function movesOf(items: readonly Item[], limit: number): { move: Item; rest: Item[] }[] {
  const moves: { move: Item; rest: Item[] }[] = [];
  items.forEach((left, i) =>
    items.forEach((right, j) => {
      for (const operator of i === j ? [] : OPERATORS) {
        if ((operator === '+' || operator === '*') && i > j) continue;
        const move = combine(left, operator, right, limit);
        if (move) moves.push({ move, rest: [move, ...items.filter((_, k) => k !== i && k !== j)] });
      }
    }),
  );
  return moves;
}

/** Numbers, and an expression over all of them that some random moves give; its value is the target. */
function draw(options: CountdownOptions, random: RandomStream): Draft | undefined {
  const numbers = Array.from({ length: options.count }, () => random.nextInt(...options.numbers));
  let items: Item[] = numbers.map((value) => ({ value, tree: value }));
  while (items.length > 1) items = random.pick(movesOf(items, limitOf(options))).rest;
  const { value, tree } = items[0] as Item;
  if (value < options.target[0] || value > options.target[1] || numbers.includes(value)) return undefined;
  const prompt = options.style === 'compact' ? compactPrompt(numbers, value) : wordsPrompt(numbers, value, options);
  return {
    content: `${numbers.toSorted((a, b) => a - b).join(' ')}>${value}`,
    problem: { prompt, answer: writeExpression(tree), data: { numbers, target: value }, difficulty: options.count },
  };
}

function compactPrompt(numbers: readonly number[], target: number): string {
  return `${numbers.join(' ')}>${target}:\n`;
}

function wordsPrompt(numbers: readonly number[], target: number, { useAll }: CountdownOptions): string {
  return (
    `Reach ${target} from the numbers ${numbers.join(', ')} with + - * / and brackets. ` +
    `Use each number ${useAll ? 'exactly' : 'at most'} once. ` +
    'Think step by step, then give the expression alone between <answer> and </answer>.'
  );
}

const dataSchema = z.object({ numbers: z.array(z.int()), target: z.int() });

/** The moves of a tree in the order in which they can be made: inner ones first. */
function movesInTree(tree: Expression): Exclude<Expression, number>[] {
  return typeof tree === 'number' ? [] : [...movesInTree(tree.left), ...movesInTree(tree.right), tree];
}

const numeric = (tree: Expression): number => Number(valueOf(tree)?.numerator ?? NaN);
const list = (items: readonly Item[]) => items.map(({ value }) => value).join(' ');

function moveLine({ move, rest }: { move: Item; rest: Item[] }): string {
  const { operator, left, right } = move.tree as Exclude<Expression, number>;
  return `${numeric(left)}${operator}${numeric(right)}=${move.value}${rest.length > 1 ? `|${list(rest)}` : ''}`;
}

/** Makes the move of the solution on the items: takes its two sides away and puts the result in front. */
function follow(items: readonly Item[], tree: Exclude<Expression, number>): { move: Item; rest: Item[] } {
  const rest = [...items];
  for (const side of [tree.left, tree.right]) {
    const at = rest.findIndex((item) => writeExpression(item.tree) === writeExpression(side));
    rest.splice(at, 1);
  }
  const move = { value: numeric(tree), tree };
  return { move, rest: [move, ...rest] };
}

/** Where a search is headed, and how widely it looks. */
interface Search {
  target: number;
  detours: number;
  limit: number;
  random: RandomStream;
}

/** Looks into `least` to `detours` moves that miss the target, each down to the last number, and gives them up. */
function wander(items: readonly Item[], search: Search, least: number): string[] {
  const misses = (next: { move: Item; rest: Item[] }) => next.rest.length > 1 || next.move.value !== search.target;
  const moves = search.random.shuffle(movesOf(items, search.limit).filter(misses));
  return moves.slice(0, search.random.nextInt(least, search.detours)).flatMap((next) => {
    if (next.rest.length === 1) return [`${moveLine(next)}x`];
    return [moveLine(next), ...wander(next.rest, search, 1), `x|${list(items)}`];
  });
}

/** The solution move by move, with detours before each move, and the expression as the last line. */
function work(problem: Problem, options: CountdownOptions, detours: number, random: RandomStream): string {
  const { numbers, target } = dataSchema.parse(problem.data);
  const solution = parseExpression(problem.answer ?? '');
  if (solution === undefined) throw new RangeError(`problem ${problem.id}: the answer is not an expression`);
  const search = { target, detours, limit: limitOf(options), random };
  let items: Item[] = numbers.map((value) => ({ value, tree: value }));
  const lines: string[] = [];
  for (const tree of movesInTree(solution)) {
    if (detours > 0) lines.push(...wander(items, search, 0));
    const next = follow(items, tree);
    lines.push(moveLine(next));
    items = next.rest;
  }
  const last = writeExpression(solution);
  return [...lines, options.style === 'words' ? `<answer>${last}</answer>` : last].join('\n');
}

/** The last closed `<answer>`, else the last line that is not empty; without a trailing `= value`. */
function expressionIn(text: string): string {
  const close = text.lastIndexOf('</answer>');
  const open = close < 0 ? -1 : text.lastIndexOf('<answer>', close);
  const trimmed = text.trimEnd();
  const said = open >= 0 ? text.slice(open + '<answer>'.length, close) : trimmed.slice(trimmed.lastIndexOf('\n') + 1);
  const [expression = ''] = said.replaceAll('×', '*').replaceAll('÷', '/').split('=', 1);
  return expression.trim();
}

/** Takes each used number out of the given ones. */
function usesOnlyGiven(used: readonly number[], given: readonly number[], useAll: boolean): boolean {
  const left = [...given];
  const allThere = used.every((number) => {
    const at = left.indexOf(number);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
  return allThere && (!useAll || left.length === 0);
}

function gradeText(problem: Problem, response: Response, { useAll }: CountdownOptions): Verdict {
  const data = dataSchema.safeParse(problem.data);
  if (!data.success) return noVerdict('gold', 'the problem has no numbers and target');
  const { numbers, target } = data.data;
  if (response.stopReason === 'length' || response.stopReason === 'aborted')
    return wrong('cut off before the end', { cause: 'response', wellFormed: false });
  const extracted = expressionIn(response.text);
  const tree = parseExpression(extracted);
  if (tree === undefined) return wrong('no expression in the last line or <answer>', { wellFormed: false });
  const said = { extracted, wellFormed: true };
  if (!usesOnlyGiven(leavesOf(tree), numbers, useAll)) return wrong('the numbers used are not the ones given', said);
  const value = valueOf(tree);
  if (value?.denominator !== 1n || value.numerator !== BigInt(target))
    return wrong('the value is not the target', said);
  return correct(extracted, 'reaches the target', said);
}

/** Length of the longest search: for every move, `detours` lines with their own detours and returns before it. */
function longestSearch(options: CountdownOptions): number {
  const { count, detours } = options;
  const dead = (left: number): number => (left < 2 ? 0 : detours * (left === 2 ? 1 : 2 + dead(left - 1)));
  let lines = 0;
  for (let left = count; left >= 2; left--) lines += dead(left) + 1;
  const width = String(limitOf(options)).length + 1;
  const lineLength = width * (count + 2) + 1;
  const lastLength = width * count + 2 * count + '<answer></answer>'.length;
  return lines * lineLength + lastLength + 1;
}

/**
 * Countdown: reach a target from given numbers with + - * /. `7 3 2>11:` is answered by moves, each with the numbers
 * that are left (`7*2=14|14 3`, `14-3=11`), and an expression in the last line; `x` gives a try up. A search
 * demonstration looks into random wrong moves before each right one. Graded exactly, in fractions.
 */
export function countdownTask(input?: z.input<typeof countdownOptions>): Task {
  const options = parseOptions(countdownOptions, input, NAME);
  return {
    name: NAME,
    description: 'reach a target from given numbers with + - * /',
    format: options.style === 'compact' ? 'raw' : 'chat',
    ...(options.style === 'compact' ? { alphabet: '0123456789 >:\n=|x+-*/()' } : {}),
    suggestedMaxTokens: longestSearch(options),
    problems: (split, seed) => drawnSource(NAME, split, seed, (random) => draw(options, random)),
    grade: async (problem, response) => gradeText(problem, response, options),
    demonstrate: (problem, style, random) => ({
      problem,
      response: work(problem, options, style === 'search' ? options.detours : 0, random),
    }),
  };
}
