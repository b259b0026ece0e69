import { z } from 'zod';
import type { RandomStream } from '../core/index.js';
import { parseOptions } from './options.js';
import { drawnSource, type Draft } from './split.js';
import type { Environment, Problem, Response, Task, Verdict } from './types.js';
import { correct, wrong } from './verdicts.js';

const NAME = 'calculator';

export const calculatorOptions = z.strictObject({
  /** Operations of a problem: a product, then sums and differences. */
  operations: z.int().min(1).max(4).default(2),
  /** Digits of a number in a problem. */
  digits: z.int().min(1).max(4).default(2),
  /** false: the calculator answers every call with `[out: ?]`, to compare with what the model can do alone. */
  execute: z.boolean().default(true),
});
export type CalculatorOptions = z.output<typeof calculatorOptions>;

/** A problem: numbers and the operators between them; the product comes first, so left to right is right. */
interface Chain {
  numbers: number[];
  operators: string[];
}

function apply(left: number, operator: string, right: number): number {
  if (operator === '*') return left * right;
  return operator === '+' ? left + right : left - right;
}

function drawChain({ operations, digits }: CalculatorOptions, random: RandomStream): Chain {
  const [low, high] = [digits === 1 ? 2 : 10 ** (digits - 1), 10 ** digits - 1];
  return {
    numbers: Array.from({ length: operations + 1 }, () => random.nextInt(low, high)),
    operators: Array.from({ length: operations }, (_, i) => (i === 0 ? '*' : random.pick(['+', '-']))),
  };
}

/** The calls that work a chain out, with their results. */
function callsOf({ numbers, operators }: Chain): { call: string; result: number }[] {
  let value = numbers[0] as number;
  return operators.map((operator, i) => {
    const call = `${value}${operator}${numbers[i + 1]}`;
    value = apply(value, operator, numbers[i + 1] as number);
    return { call, result: value };
  });
}

function draftOf(chain: Chain): Draft {
  const text = chain.numbers.map((number, i) => `${number}${chain.operators[i] ?? '='}`).join('');
  const answer = String(callsOf(chain).at(-1)?.result);
  return {
    content: text,
    problem: { prompt: text, answer, data: { ...chain }, difficulty: chain.operators.length },
  };
}

const chainSchema = z.object({ numbers: z.array(z.number()), operators: z.array(z.string()) });

/** Works the chain out call by call: what the model writes and what the calculator answers. */
function demonstration(problem: Problem): string {
  const calls = callsOf(chainSchema.parse(problem.data));
  return `${calls.map(({ call, result }) => `[calc: ${call}][out: ${result}]`).join('')}${problem.answer}.`;
}

const CALL = /\[calc: (-?\d{1,12})([-+*])(-?\d{1,12})\]$/;

/** What the calculator says to a turn; undefined: the turn is no call, so the attempt is over. */
export function calculate(turn: string, execute = true): string | undefined {
  if (!turn.endsWith(']')) return undefined;
  const [, left, operator, right] = CALL.exec(turn) ?? [];
  if (left === undefined || operator === undefined) return '[out: error]';
  const value = apply(Number(left), operator, Number(right));
  return `[out: ${execute && Number.isSafeInteger(value) ? value : '?'}]`;
}

function environmentOf({ execute, operations }: CalculatorOptions): Environment {
  const step = (turn: string) => {
    const append = calculate(turn, execute);
    return Promise.resolve({ append: append ?? '', done: append === undefined });
  };
  return { stop: [']'], suggestedMaxTurns: operations + 1, reset: () => Promise.resolve({ step }) };
}

const ANSWER = /^-?\d+\.$/;
const CALLS = /^(?:\[calc: -?\d+[-+*]-?\d+\]\[out: (?:-?\d+|\?)\])*-?\d+\.$/;

/** The answer is what the model wrote after the last call: the calculator's own words are not an answer. */
function grade(problem: Problem, { text, stopReason, segments }: Response): Promise<Verdict> {
  const last = segments ? (segments.findLast(({ source }) => source === 'model')?.text ?? '') : afterCalls(text);
  const wellFormed = CALLS.test(text);
  if (stopReason === 'length' || stopReason === 'aborted')
    return Promise.resolve(wrong('cut off before the end', { cause: 'response', wellFormed: false }));
  if (!ANSWER.test(last))
    return Promise.resolve(wrong('no number with a full stop after the last call', { wellFormed: false }));
  const answer = last.slice(0, -1);
  const said = { extracted: answer, wellFormed };
  const verdict = answer === problem.answer ? correct(answer, 'answer right', said) : wrong('another number', said);
  return Promise.resolve(verdict);
}

const afterCalls = (text: string): string => text.slice(text.lastIndexOf(']') + 1);

/** Characters of the longest demonstration; calls and results together. */
function longest({ operations, digits }: CalculatorOptions): number {
  const width = 2 * digits + 2;
  return operations * ('[calc: +][out: ]'.length + 2 * width + digits) + width + 2;
}

/**
 * Integer arithmetic with a calculator: `37*48+12=` is answered by `[calc: 37*48]`, to which the calculator says
 * `[out: 1776]`, and so on to `1788.`. Shows an environment with a tool (STILL-3's tool model in miniature, arXiv
 * 2503.04548 section 4.4).
 */
export function calculatorTask(input?: z.input<typeof calculatorOptions>): Task {
  const options = parseOptions(calculatorOptions, input, NAME);
  return {
    name: NAME,
    description: 'integer arithmetic with a calculator to call',
    format: 'raw',
    alphabet: [...new Set('0123456789+-*=.?[]: calcouterr')].join(''),
    stop: ['.'],
    suggestedMaxTokens: longest(options),
    problems: (split, seed) => drawnSource(NAME, split, seed, (random) => draftOf(drawChain(options, random))),
    grade,
    demonstrate: (problem) => ({ problem, response: demonstration(problem) }),
    environment: environmentOf(options),
  };
}
