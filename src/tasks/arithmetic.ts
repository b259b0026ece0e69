import { z } from 'zod';
import type { RandomStream } from '../core/index.js';
import { leavesOf, parseExpression, writeExpression, type Expression, type Operator } from './expression.js';
import { parseOptions } from './options.js';
import { searchEffort } from './signals/effort.js';
import { drawnSource, type Draft } from './split.js';
import type { Problem, Response, Task, Verdict } from './types.js';
import { correct, wrong } from './verdicts.js';

const NAME = 'arithmetic';

export const arithmeticOptions = z
  .strictObject({
    /** Greatest number of nested operations; at least one operation of a problem lies that deep. */
    depth: z.int().min(1).max(5).default(2),
    /** Range of the numbers in a problem, both ends included. */
    operands: z.tuple([z.int().min(0), z.int().max(9999)]).default([0, 9]),
    operators: z
      .string()
      .regex(/^[-+*]{1,3}$/, 'must be one to three of + - *')
      .default('+-*'),
    /** Problems with a result, also an intermediate one, beyond this in size are left out. */
    limit: z.int().min(1).max(1_000_000).default(99),
    /** Chance that a step of a search demonstration is first worked out wrong, struck out, and redone. */
    slips: z.number().min(0).max(1).default(0.3),
    /** Check every step that is not struck out, not the answer alone. */
    strict: z.boolean().default(true),
  })
  .refine(({ operands: [low, high] }) => low <= high, { path: ['operands'], message: 'low end above high end' });
export type ArithmeticOptions = z.output<typeof arithmeticOptions>;

function apply(operator: Operator, left: number, right: number): number {
  if (operator === '+') return left + right;
  return operator === '-' ? left - right : left * right;
}

/** A random tree of at most `depth` levels; the path that `deep` marks goes all the way down. */
function drawTree(options: ArithmeticOptions, depth: number, deep: boolean, random: RandomStream): Expression {
  if (depth === 0 || (!deep && random.next() < 0.4)) return random.nextInt(...options.operands);
  const deepLeft = random.next() < 0.5;
  const operator = random.pick([...options.operators]) as Operator;
  const left = drawTree(options, depth - 1, deep && deepLeft, random);
  return { operator, left, right: drawTree(options, depth - 1, deep && !deepLeft, random) };
}

/** Value of a tree; undefined when a result on the way exceeds the limit. */
function boundedValue(tree: Expression, limit: number): number | undefined {
  if (typeof tree === 'number') return tree;
  const left = boundedValue(tree.left, limit);
  const right = boundedValue(tree.right, limit);
  if (left === undefined || right === undefined) return undefined;
  const value = apply(tree.operator, left, right);
  return Math.abs(value) <= limit ? value : undefined;
}

/** Equal for trees that differ in the order of the sides of + and * alone. */
function canonical(tree: Expression): string {
  if (typeof tree === 'number') return String(tree);
  const sides = [canonical(tree.left), canonical(tree.right)];
  if (tree.operator !== '-') sides.sort();
  return `(${sides[0]}${tree.operator}${sides[1]})`;
}

function draw(options: ArithmeticOptions, random: RandomStream): Draft | undefined {
  const tree = drawTree(options, options.depth, true, random);
  const value = boundedValue(tree, options.limit);
  if (value === undefined) return undefined;
  const problem = { prompt: `${writeExpression(tree)}=`, answer: String(value), difficulty: leavesOf(tree).length - 1 };
  return { content: canonical(tree), problem };
}

/** Every tree that one worked-out operation leads to, leftmost first. */
function reductions(tree: Expression): Expression[] {
  if (typeof tree === 'number') return [];
  const { operator, left, right } = tree;
  if (typeof left === 'number' && typeof right === 'number') return [apply(operator, left, right)];
  return [
    ...reductions(left).map((reduced) => ({ operator, left: reduced, right })),
    ...reductions(right).map((reduced) => ({ operator, left, right: reduced })),
  ];
}

function treeOf(problem: Problem): Expression {
  const tree = parseExpression(problem.prompt.slice(0, -1));
  if (tree === undefined) throw new RangeError(`problem ${problem.id}: the prompt is not an arithmetic expression`);
  return tree;
}

/** The leftmost operation worked out with a result that is off by a little. */
function slip(tree: Expression, random: RandomStream): Expression {
  if (typeof tree === 'number') return tree + random.pick([-10, -2, -1, 1, 2, 10]);
  const { operator, left, right } = tree;
  if (typeof left === 'number' && typeof right === 'number') return slip(apply(operator, left, right), random);
  return typeof left === 'number'
    ? { operator, left, right: slip(right, random) }
    : { operator, left: slip(left, random), right };
}

/** Works the leftmost operation out, again and again; with chance `slips` a wrong version is written first and struck. */
function work(problem: Problem, slips: number, random: RandomStream): string {
  let tree = treeOf(problem);
  let text = '';
  while (typeof tree !== 'number') {
    if (random.next() < slips) text += `${writeExpression(slip(tree, random))}x`;
    tree = reductions(tree)[0] as Expression;
    text += writeExpression(tree) + (typeof tree === 'number' ? '.' : '=');
  }
  return text;
}

/** Steps that count, and those struck out. */
const STEPS = { candidate: /[-+*()\d]+(?=[=.])/, backtrack: /[\d)]x/ };
const RESPONSE = /^(?:[-+*()\d]+[=x])*-?\d+\.$/;

function gradeText(problem: Problem, { text, stopReason }: Response, strict: boolean): Verdict {
  if (stopReason === 'length' || stopReason === 'aborted')
    return wrong('cut off before the end', { cause: 'response', wellFormed: false });
  // Written so that no two repetitions can match the same character: linear in the text.
  if (!RESPONSE.test(text))
    return wrong('not a row of steps that ends in a number and a full stop', { wellFormed: false });
  const kept = [...text.matchAll(/([-+*()\d]+)([=x.])/g)]
    .filter((step) => step[2] !== 'x')
    .map((step) => step[1] ?? '');
  const answer = kept.at(-1) as string;
  const said = { extracted: answer, wellFormed: true };
  if (answer !== problem.answer) return wrong(`the answer is ${problem.answer}`, said);
  const flaw = strict ? firstFlaw(treeOf(problem), kept) : undefined;
  return flaw === undefined ? correct(answer, 'answer right', said) : wrong(`step ${flaw} does not follow`, said);
}

/** The first kept step that is not its predecessor with one operation worked out; undefined: all follow. */
function firstFlaw(start: Expression, steps: readonly string[]): string | undefined {
  let tree = start;
  for (const step of steps) {
    const next = reductions(tree).find((reduced) => writeExpression(reduced) === step);
    if (next === undefined) return step.slice(0, 80);
    tree = next;
  }
  return undefined;
}

/** Longest demonstration: every step twice, each as long as its numbers at their widest allow. */
function longestWork({ depth, limit, operands }: ArithmeticOptions): number {
  const operations = 2 ** depth - 1;
  const width = Math.max(String(-limit - 10).length, String(operands[1]).length);
  let length = 1;
  for (let left = operations - 1; left >= 0; left--)
    length += 2 * ((left + 1) * width + left + 2 * Math.max(left - 1, 0) + 1);
  return length;
}

/**
 * Nested integer arithmetic, worked one operation at a time: `(3+4)*2=` is answered by `7*2=14.`; a step followed by
 * x is struck out and does not count: `8*2x7*2=14.`. Strict grading demands that every step kept follows from the last.
 */
export function arithmeticTask(input?: z.input<typeof arithmeticOptions>): Task {
  const options = parseOptions(arithmeticOptions, input, NAME);
  return {
    name: NAME,
    description: 'nested integer arithmetic worked out one operation at a time',
    format: 'raw',
    alphabet: '0123456789()=x.-+*',
    suggestedMaxTokens: longestWork(options),
    problems: (split, seed) => drawnSource(NAME, split, seed, (random) => draw(options, random)),
    grade: async (problem, response) => gradeText(problem, response, options.strict),
    // Every step written once, and each once struck out and mended.
    effort: (_problem, { text }) => searchEffort(text, { ...STEPS, cap: 2 * (2 ** options.depth - 1) }),
    demonstrate: (problem, style, random) => ({
      problem,
      response: work(problem, style === 'search' ? options.slips : 0, random),
    }),
  };
}
