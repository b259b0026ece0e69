import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  answerSignal,
  cap,
  clamp,
  cleanSignal,
  evaluateSignal,
  formatSignal,
  FORMATS,
  formulaOf,
  gate,
  gradeAnswer,
  greatest,
  keywordSignal,
  least,
  lengthSignal,
  mixingSignal,
  noVerdict,
  product,
  repetitionSignal,
  sigmoid,
  signal,
  signalGrader,
  weighted,
  type Leaf,
  type Problem,
  type Response,
  type Signal,
} from '../../../src/tasks/index.js';

const problem: Problem = { id: 'p', prompt: '2 + 3?', answer: '5' };
const reply = (text: string): Response => ({ text, tokens: new Int32Array(0), stopReason: 'eos' });
const asked = { problem, response: reply('x') };
const fixed = (name: string, value: number): Leaf => signal(name, () => ({ value }));
const [a, b, c] = [fixed('a', 0.5), fixed('b', 0.25), fixed('c', 3)] as const;

const valueOf = async (of: Signal): Promise<unknown> => (await evaluateSignal(of, asked)).reading;

describe('a signal prints as the formula that it computes', () => {
  it.each<[Signal, string, number]>([
    [weighted([0.8, a], [0.2, b]), '0.8·a + 0.2·b', 0.45],
    [weighted([1, a], [-0.5, b], [-1, c]), 'a - 0.5·b - c', -2.625],
    [product(a, weighted([1, b], [1, c])), 'a·(b + c)', 1.625],
    [weighted([2, weighted([1, a], [1, b])]), '2·(a + b)', 1.5],
    [weighted([-1, product(a, b)]), '-a·b', -0.125],
    [cap(c, 1), 'min(c, 1)', 1],
    [clamp(weighted([1, a], [-1, c]), 0, 1), 'clamp(a - c, 0, 1)', 0],
    [clamp(a, 1, Infinity), 'max(a, 1)', 1],
    [least(a, b, c), 'min(a, b, c)', 0.25],
    [greatest(a, 0.75), 'max(a, 0.75)', 0.75],
    [sigmoid(0), 'sigmoid(0)', 0.5],
    [gate(c, a, { atLeast: 2 }), 'a if c >= 2 else 0', 0.5],
    [gate(b, a, { otherwise: -1 }), 'a if b >= 1 else -1', -1],
    [weighted([1, gate(b, a)], [1, c]), '(a if b >= 1 else 0) + c', 3],
    [product(a, -2), 'a·(-2)', -1],
  ])('%#: %j', async (of, formula, value) => {
    expect(formulaOf(of)).toBe(formula);
    expect(await valueOf(of)).toMatchObject({ value: expect.closeTo(value, 12) as number });
  });
});

describe('a leaf without a reading', () => {
  const silent = signal('silent', () => ({ missing: 'grader', reason: 'nobody there' }));
  const missing = { missing: 'grader', reason: 'nobody there' };

  it.each<[string, Signal]>([
    ['a sum', weighted([1, a], [0, silent])],
    ['a product with zero', product(0, silent)],
    ['a minimum', least(a, silent)],
    ['a condition', gate(silent, a)],
    ['a clamp', clamp(silent, 0, 1)],
  ])('leaves %s without one', async (_, of) => {
    expect(await valueOf(of)).toEqual(missing);
  });

  it('behind a closed gate is not read', async () => {
    const { reading, leaves } = await evaluateSignal(gate(a, silent), asked);
    expect(reading).toEqual({ value: 0 });
    expect([...leaves.keys()]).toEqual(['a']);
  });

  it('is what a number that is none comes to', async () => {
    expect(await valueOf(fixed('broken', Number.NaN))).toMatchObject({ missing: 'grader' });
  });
});

it('reads a leaf once, however often it stands in a formula', async () => {
  let reads = 0;
  const counted = signal('counted', () => ({ value: ++reads }));
  expect(await valueOf(weighted([1, counted], [1, gate(counted, counted)]))).toEqual({ value: 2 });
  expect(reads).toBe(1);
});

describe('signalGrader', () => {
  const answer = answerSignal((of, response) => gradeAnswer(of, response));
  const format = formatSignal(FORMATS.boxed);
  const grade = signalGrader({
    score: gate(format, weighted([0.8, answer], [0.2, repetitionSignal(2)])),
    correct: answer,
    wellFormed: format,
  });

  it('gives score, components, and the formula with its values', async () => {
    const verdict = await grade(problem, reply('It is \\boxed{5}'));
    expect(verdict).toMatchObject({ status: 'correct', score: 0.8, extracted: '5', wellFormed: true });
    expect(verdict.components).toEqual({ format: 1, answer: 1, repetition: 0, value: 0.8 });
    expect(verdict.reason).toMatch(/^0.8·answer \+ 0.2·repetition if format >= 1 else 0 = 0.8 \(/);
  });

  it('keeps right and wrong apart from the score', async () => {
    expect(await grade(problem, reply('5'))).toMatchObject({ status: 'correct', score: 0, wellFormed: false });
  });

  it('gives no verdict where the gold answer has none', async () => {
    const broken = signalGrader({ score: answerSignal(async () => noVerdict('gold', 'no gold')), correct: format });
    expect(await broken(problem, reply('5'))).toMatchObject({ status: 'no_verdict', cause: 'gold', score: 0 });
  });

  it('maps a range to scores, and refuses a value outside of it', async () => {
    const clean = cleanSignal({ repetition: { share: 0.2, n: 2 } });
    const t1 = signalGrader({ score: gate(clean, answer, { otherwise: -1 }), correct: answer, range: [-1, 1] });
    expect(await t1(problem, reply('\\boxed{5}'))).toMatchObject({ score: 1 });
    expect(await t1(problem, reply('\\boxed{6}'))).toMatchObject({ score: 0.5, components: { value: 0 } });
    expect(await t1(problem, reply('so so so so so so \\boxed{5}'))).toMatchObject({ score: 0 });
    await expect(signalGrader({ score: c, correct: answer })(problem, reply('5'))).rejects.toThrow(/outside of 0 to 1/);
  });

  it('refuses two signals of one name', () => {
    expect(() => signalGrader({ score: a, correct: fixed('a', 1) })).toThrow(/two signals are called "a"/);
  });
});

it('is the formula that docs/signals.md shows', async () => {
  const answer = answerSignal((of, response) => gradeAnswer(of, response));
  const format = formatSignal(FORMATS['think-answer']);
  const score = gate(format, weighted([1, answer], [-0.2, repetitionSignal(4)]), { otherwise: -0.2 });
  const docs = readFileSync(new URL('../../../docs/signals.md', import.meta.url), 'utf8');
  expect(docs).toContain(`formulaOf(score); // '${formulaOf(score)}'`);
  const grade = signalGrader({ score, correct: answer, wellFormed: format, range: [-0.2, 1] });
  expect(await grade(problem, reply('<think>2 + 3</think><answer>5</answer>'))).toMatchObject({
    status: 'correct',
    score: 1,
  });
  expect(await grade(problem, reply('5'))).toMatchObject({ status: 'correct', score: 0, components: { value: -0.2 } });
});

it('reads lengths, scripts and keywords off a response', async () => {
  const response = reply('wait, верно but fine');
  const sum = weighted(
    [1, lengthSignal()],
    [10, mixingSignal('latin')],
    [100, keywordSignal('still-3', { class: 'reflection' })],
  );
  expect((await evaluateSignal(sum, { problem, response })).reading).toEqual({ value: 4 + 2.5 + 100 });
  expect(() => keywordSignal('still-3', { class: 'nothing' })).toThrow(/no class/);
  expect(() => signal('Bad name', () => ({ value: 1 }))).toThrow(/lower-case/);
});
