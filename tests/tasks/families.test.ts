import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import {
  arithmeticTask,
  countdownTask,
  gradeGold,
  lastDigitTask,
  pathTask,
  splitOf,
  validateTask,
  type Task,
} from '../../src/tasks/index.js';
import { said } from './helpers.js';

const RUNS = { seed: 20_240_607, numRuns: 25 };
const seeds = fc.integer({ min: 0, max: 2 ** 40 });

const families: [label: string, make: () => Task][] = [
  ['last-digit', () => lastDigitTask()],
  ['last-digit, target restated', () => lastDigitTask({ check: 'restate' })],
  ['last-digit, final results, 2 digits', () => lastDigitTask({ digits: 2, results: 'final' })],
  ['last-digit, 5 digits, drawn', () => lastDigitTask({ digits: 5, maxSolutions: 30 })],
  ['last-digit, some unsolvable', () => lastDigitTask({ unsolvable: 0.25 })],
  ['arithmetic', () => arithmeticTask()],
  ['arithmetic, deep', () => arithmeticTask({ depth: 4, operands: [0, 30], limit: 9999, slips: 1 })],
  ['countdown', () => countdownTask()],
  ['countdown, words', () => countdownTask({ count: 5, numbers: [1, 50], target: [10, 500], style: 'words' })],
  ['countdown, all numbers', () => countdownTask({ count: 4, useAll: true, detours: 3 })],
  ['path', () => pathTask()],
  ['path, long', () => pathTask({ hops: [5, 20], deadEnds: 5 })],
];

describe.each(families)('%s', (_label, make) => {
  const task = make();

  it('makes problem i from seed and index alone, in any order', () => {
    fc.assert(
      fc.property(seeds, fc.array(fc.nat(400), { minLength: 1, maxLength: 6 }), (seed, indices) => {
        const source = task.problems('train', seed);
        const again = make().problems('train', seed);
        const forward = indices.map((index) => source.at(index));
        const backward = indices.toReversed().map((index) => again.at(index));
        expect(backward.toReversed()).toEqual(forward);
      }),
      { ...RUNS, numRuns: 5 },
    );
  });

  it('keeps train and test apart for every pair of seeds', () => {
    fc.assert(
      fc.property(seeds, seeds, (trainSeed, testSeed) => {
        const [train, test] = [task.problems('train', trainSeed), task.problems('test', testSeed)];
        const prompts = new Set(Array.from({ length: 60 }, (_, i) => train.at(i).prompt));
        for (let i = 0; i < 60; i++) expect(prompts.has(test.at(i).prompt)).toBe(false);
      }),
      { ...RUNS, numRuns: 5 },
    );
  });

  it('gives other problems under another seed', () => {
    const prompts = (seed: number) => Array.from({ length: 20 }, (_, i) => task.problems('train', seed).at(i).prompt);
    expect(prompts(1)).not.toEqual(prompts(2));
  });

  it('accepts its own straight demonstrations', async () => {
    expect(await validateTask(task, 150)).toEqual({ checked: 150, unvalidated: 0, failures: [] });
    expect((await gradeGold(task, 50, { split: 'test', seed: 9 })).failures).toEqual([]);
  });

  it('writes demonstrations in its alphabet, within suggestedMaxTokens, and well-formed', async () => {
    const source = task.problems('train', 3);
    for (let i = 0; i < 150; i++) {
      for (const style of ['plain', 'search'] as const) {
        const { problem, response } = task.demonstrate!(source.at(i), style, new RandomStream(3, 'demo', i));
        // One character is at least one token; the end token comes on top.
        expect(response.length + 1).toBeLessThanOrEqual(task.suggestedMaxTokens);
        for (const character of task.alphabet === undefined ? '' : problem.prompt + response)
          expect(task.alphabet).toContain(character);
        const verdict = await task.grade(problem, said(response));
        expect(verdict.wellFormed).toBe(true);
        const mayGiveUp = task.name === 'last-digit' && style === 'search' && response.endsWith('?');
        if (!mayGiveUp) expect(verdict).toMatchObject({ status: 'correct', score: 1 });
      }
    }
  });

  it('makes equal demonstrations of equal random streams', () => {
    const problem = task.problems('train', 3).at(0);
    const write = () => task.demonstrate!(problem, 'search', new RandomStream(5, 'demo')).response;
    expect(write()).toBe(write());
  });

  it('never calls a cut-off response well-formed or correct', async () => {
    const source = task.problems('train', 4);
    for (let i = 0; i < 20; i++) {
      const { problem, response } = task.demonstrate!(source.at(i), 'plain', new RandomStream(0, 'demo', i));
      expect(await task.grade(problem, said(response, 'length'))).toMatchObject({ status: 'wrong', wellFormed: false });
    }
  });

  it('takes any text without throwing', async () => {
    const problem = task.problems('train', 4).at(0);
    const pieces = fc.constantFrom(
      '(',
      ')',
      '=',
      'x',
      '!',
      '?',
      '.',
      '<',
      '-',
      '1',
      '9',
      'a',
      '\n',
      '<answer>',
      '</answer>',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 60 }), async (parts) => {
        expect((await task.grade(problem, said(parts.join('')))).status).toBe('wrong');
      }),
      RUNS,
    );
    for (const unit of ['9-2=7x', '(', '1+', '<answer>', '1', 'a<', '\n'])
      expect((await task.grade(problem, said(unit.repeat(Math.floor(1e6 / unit.length))))).status).toBe('wrong');
  });
});

describe('splits', () => {
  it('depend on the content alone and give about one in five to test', () => {
    const contents = Array.from({ length: 5000 }, (_, i) => `content ${i}`);
    const test = contents.filter((content) => splitOf('family', content) === 'test').length;
    expect(test / contents.length).toBeGreaterThan(0.18);
    expect(test / contents.length).toBeLessThan(0.22);
  });

  it('hold between option sets of one family', () => {
    const promptsOf = (task: Task, split: 'train' | 'test') =>
      new Set(Array.from({ length: 500 }, (_, i) => task.problems(split, 0).at(i).prompt));
    const narrow = promptsOf(arithmeticTask({ depth: 1, operators: '+' }), 'test');
    const wide = promptsOf(arithmeticTask({ depth: 1, operators: '-*+' }), 'train');
    expect([...narrow].filter((prompt) => wide.has(prompt))).toEqual([]);
  });

  it('put commuted sums and reordered countdowns on the same side', () => {
    const train = new Set(
      Array.from({ length: 3000 }, (_, i) => arithmeticTask({ depth: 1 }).problems('train', 1).at(i).prompt),
    );
    for (let i = 0; i < 100; i++) {
      const { prompt } = arithmeticTask({ depth: 1 }).problems('test', 2).at(i);
      const swapped = prompt.replace(/^(\d+)([+*])(\d+)=$/, '$3$2$1=');
      expect(train.has(swapped)).toBe(false);
    }
  });
});

describe('arithmetic', () => {
  const problem = { id: 'p', prompt: '(3+4)*(2-5)=', answer: '-21' };
  it.each([
    ['7*(2-5)=7*-3=-21.', 'correct'],
    ['(3+4)*-3=7*-3=-21.', 'correct'],
    ['8*(2-5)x7*(2-5)=7*-3=-21.', 'correct'],
    ['7*-3=-21.', 'wrong'], // two operations in one step
    ['8*(2-5)=7*-3=-21.', 'wrong'], // a wrong step that is not struck out
    ['7*(2-5)=7*-3=-20.', 'wrong'],
    ['-21.', 'wrong'],
    ['7*(2-5)=7*-3=-21', 'wrong'],
  ])('%s is %s when every step is checked', async (text, status) => {
    expect((await arithmeticTask().grade(problem, said(text))).status).toBe(status);
  });

  it('looks at the answer alone when told', async () => {
    const lax = arithmeticTask({ strict: false });
    expect((await lax.grade(problem, said('-21.'))).status).toBe('correct');
    expect((await lax.grade(problem, said('-20.'))).status).toBe('wrong');
  });
});

describe('countdown', () => {
  const problem = { id: 'p', prompt: '', data: { numbers: [3, 3, 8, 8], target: 24 } };
  it.each([
    ['8/(3-8/3)', 'correct'], // fractions on the way
    ['so\n<answer>8 / (3 - 8/3)</answer> I think', 'correct'],
    ['<answer>1</answer> or <answer>8*3=24</answer>', 'correct'],
    ['8*3+0', 'wrong'],
    ['8*3*8/8+3-3', 'wrong'], // three eights
    ['24', 'wrong'],
    ['8/(3-3)', 'wrong'],
    ['8*3;process.exit()', 'wrong'],
    ['', 'wrong'],
  ])('%s is %s', async (text, status) => {
    expect((await countdownTask().grade(problem, said(text))).status).toBe(status);
  });

  it('can ask for every number', async () => {
    expect((await countdownTask({ useAll: true }).grade(problem, said('8*3'))).status).toBe('wrong');
  });

  it('has no verdict on a problem without numbers', async () => {
    expect(await countdownTask().grade({ id: 'p', prompt: '' }, said('1'))).toMatchObject({
      status: 'no_verdict',
      cause: 'gold',
    });
  });
});

describe('path', () => {
  const problem = { id: 'p', prompt: 'ac ab bd a>d:', answer: 'abd' };
  it.each([
    ['abd.', 'correct'],
    ['ac<bd.', 'correct'],
    ['ac<b<bd.', 'correct'],
    ['ad.', 'wrong'],
    ['ab.', 'wrong'],
    ['abd<.', 'wrong'],
    ['a<<bd.', 'wrong'],
    ['bd.', 'wrong'],
    ['abd', 'wrong'],
  ])('%s is %s', async (text, status) => {
    expect((await pathTask().grade(problem, said(text))).status).toBe(status);
  });

  it('has solutions whose length varies at least tenfold', () => {
    const source = pathTask().problems('train', 0);
    const lengths = Array.from(
      { length: 1000 },
      (_, i) => pathTask().demonstrate!(source.at(i), 'search', new RandomStream(0, 'demo', i)).response.length,
    );
    expect(Math.max(...lengths) / Math.min(...lengths)).toBeGreaterThanOrEqual(9);
  });
});

describe('edited responses', () => {
  const signs = [...'0123456789abcx<=.+-*()'];
  const edit = (text: string, random: RandomStream): string => {
    const at = random.nextInt(0, text.length - 1);
    return text.slice(0, at) + random.pick(['', random.pick(signs), random.pick([...text])]) + text.slice(at + 1);
  };

  /** Value of a fully bracketed expression, by working out the innermost bracket again and again. */
  const value = (text: string): number => {
    const apply = (_: string, a: string, operator: string, b: string) =>
      String(operator === '+' ? +a + +b : operator === '-' ? +a - +b : +a * +b);
    let rest = `(${text})`;
    for (let before = ''; before !== rest;) {
      before = rest;
      rest = rest.replace(/\((-?\d+)([-+*])(-?\d+)\)/, apply).replace(/^\((-?\d+)\)$/, '$1');
    }
    return Number(rest);
  };
  const operations = (text: string) => text.match(/(?<=[\d)])[-+*]/g)?.length ?? 0;

  /** Every step kept has the value of the problem and one operation less than the step before. */
  const arithmeticHolds = (prompt: string, text: string): boolean => {
    const kept = text
      .slice(0, -1)
      .replace(/[^=x]+x/g, '')
      .split('=');
    const steps = [prompt.slice(0, -1), ...kept];
    return steps.every(
      (step, i) =>
        value(step) === value(prompt.slice(0, -1)) &&
        operations(step) === operations(prompt) - i &&
        (i < steps.length - 1 || operations(step) === 0),
    );
  };

  /** With every step back taken out together with its step on, the one way to the goal is left. */
  const pathHolds = (answer: string, text: string): boolean => {
    let rest = text;
    for (let before = ''; before !== rest;) [before, rest] = [rest, rest.replace(/[a-z]</, '')];
    return rest === `${answer}.`;
  };

  it.each<[task: Task, holds: (prompt: string, answer: string, text: string) => boolean]>([
    [arithmeticTask({ slips: 0.5 }), (prompt, _answer, text) => arithmeticHolds(prompt, text)],
    [pathTask(), (_prompt, answer, text) => pathHolds(answer, text)],
  ])('of $name are accepted only when they still hold by other means', async (task, holds) => {
    const source = task.problems('train', 8);
    let refused = 0;
    for (let i = 0; i < 1500; i++) {
      const random = new RandomStream(8, 'edits', i);
      const { problem, response } = task.demonstrate!(source.at(i), 'search', random);
      expect(holds(problem.prompt, problem.answer!, response)).toBe(true);
      const text = edit(response, random);
      const accepted = (await task.grade(problem, said(text))).status === 'correct';
      if (accepted) expect([text, holds(problem.prompt, problem.answer!, text)]).toEqual([text, true]);
      else refused++;
    }
    expect(refused).toBeGreaterThan(700);
  });
});
