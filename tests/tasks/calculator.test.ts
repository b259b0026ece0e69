import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { calculate, calculatorTask, validateTask, type Segment } from '../../src/tasks/index.js';
import { said } from './helpers.js';

const segment = (source: Segment['source'], text: string): Segment => ({ source, text, tokens: new Int32Array() });

describe('the calculator', () => {
  it.each([
    ['[calc: 37*48]', '[out: 1776]'],
    ['so [calc: 1776+-12]', '[out: 1764]'],
    ['[calc: 3-10]', '[out: -7]'],
    ['[calc: 37*]', '[out: error]'],
    ['[calc: 1/0]', '[out: error]'],
    ['[calc: 999999999999*999999999999]', '[out: ?]'],
    ['[out: 5]', '[out: error]'],
    ['1788.', undefined],
    ['', undefined],
  ])('says to %s: %s', (turn, reply) => expect(calculate(turn)).toBe(reply));

  it('says nothing useful when it is not executed', () => expect(calculate('[calc: 2*3]', false)).toBe('[out: ?]'));
});

describe('the calculator task', () => {
  it.each([{}, { operations: 4, digits: 4 }, { operations: 1, digits: 1 }] as const)(
    'accepts its demonstrations, in its alphabet and within its length: %j',
    async (options) => {
      const task = calculatorTask(options);
      expect(await validateTask(task, 100)).toEqual({ checked: 100, unvalidated: 0, failures: [] });
      for (let i = 0; i < 100; i++) {
        const { problem, response } = task.demonstrate!(
          task.problems('train', 1).at(i),
          'plain',
          new RandomStream(1, 'demo', i),
        );
        expect(response.length + 1).toBeLessThanOrEqual(task.suggestedMaxTokens);
        for (const character of problem.prompt + response) expect(task.alphabet).toContain(character);
      }
    },
  );

  it('counts what the model wrote, not what the calculator did', async () => {
    const task = calculatorTask();
    const problem = { id: 'x', prompt: '2*3=', answer: '6', data: { numbers: [2, 3], operators: ['*'] } };
    const graded = (last: string) =>
      task.grade(problem, {
        ...said(`[calc: 2*3][out: 6]${last}`),
        segments: [segment('model', '[calc: 2*3]'), segment('tool', '[out: 6]'), segment('model', last)],
      });
    expect(await graded('6.')).toMatchObject({ status: 'correct', wellFormed: true });
    expect(await graded('5.')).toMatchObject({ status: 'wrong', extracted: '5' });
    expect(await graded('')).toMatchObject({ status: 'wrong', wellFormed: false });
    const forged = { ...said('[calc: 2*3][out: 6]6.'), segments: [segment('model', '[calc: 2*3][out: 6]6.')] };
    expect(await task.grade(problem, forged)).toMatchObject({ status: 'wrong', wellFormed: false });
  });

  it('counts an attempt that was cut as wrong', async () => {
    const problem = { id: 'x', prompt: '2*3=', answer: '6' };
    expect(await calculatorTask().grade(problem, said('6.', 'length'))).toMatchObject({ status: 'wrong' });
  });
});
