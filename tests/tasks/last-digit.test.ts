import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { lastDigitSkills, lastDigitTask, type Problem } from '../../src/tasks/index.js';
import { said } from './helpers.js';

const task = lastDigitTask();
const NOTE = '9-2=7-9=8x9-2=7*9=3x9*2=8+9=7x9*2=8-9=9x9*2=8*9=2!';
const puzzle: Problem = {
  id: 'p',
  prompt: '9 2 9>2:',
  answer: '9*2=8*9=2',
  data: { digits: [9, 2, 9], target: 2, operators: '+-*', results: 'stated', check: 'mark' },
};

/**
 * Judges a response by other means than the grader: the text is split by hand, and the claim must be one of the right
 * attempts, all written out by brute force with arithmetic on whole numbers.
 */
function bruteForce(problem: Problem, text: string): boolean {
  const [left = '', target = ''] = problem.prompt.slice(0, -1).split('>');
  const digits = left.split(' ').map(Number);
  const right = new Set<string>();
  const extend = (done: string, value: number, rest: number[]): void => {
    const [next, ...others] = rest;
    if (next === undefined) {
      if (value === Number(target)) right.add(done);
      return;
    }
    const results = { '+': (value + next) % 10, '-': (value - next + 10) % 10, '*': (value * next) % 10 };
    for (const [operator, result] of Object.entries(results))
      extend(`${done}${operator}${next}=${result}`, result, others);
  };
  extend(String(digits[0]), digits[0] as number, digits.slice(1));
  const attempts = text.split('x');
  const last = attempts.pop() ?? '';
  const shaped = attempts.every((attempt) => /^\d[-+*]\d=\d[-+*]\d=\d$/.test(attempt));
  return shaped && last.endsWith('!') && right.has(last.slice(0, -1));
}

describe('the strict grader', () => {
  it.each([
    [NOTE, 'correct', true],
    ['9*2=8*9=2!', 'correct', true],
    ['0+0=1-7=3x9*2=8*9=2!', 'correct', true], // tries before the last one need the grammar alone
    ['9*2=8*9=2?', 'wrong', true], // gives up on a right attempt
    ['9-2=7-9=8?', 'wrong', true],
    ['9-2=7-9=8!', 'wrong', true], // claims what is not the target
    ['9-2=7-9=2!', 'wrong', true], // misstates the result
    ['9*2=7*9=2!', 'wrong', true], // misstates a step on the way
    ['9*2=8*9=2', 'wrong', false],
    ['9*2=8*9=2x', 'wrong', false],
    ['9*2=8*9=2!!', 'wrong', false],
    ['9*2=8*9=2!x', 'wrong', false],
    ['9*9=1*2=2!', 'wrong', true], // digits in another order
    ['9*2=8!', 'wrong', false],
    ['2!', 'wrong', false],
    ['', 'wrong', false],
    [' 9*2=8*9=2!', 'wrong', false],
  ])('%s is %s, well-formed: %s', async (text, status, wellFormed) => {
    expect(await task.grade(puzzle, said(text))).toMatchObject({ status, wellFormed });
  });

  it('accepts an edited response only when brute force accepts it', async () => {
    let accepted = 0;
    let refused = 0;
    const random = new RandomStream(7, 'mutations');
    const source = task.problems('train', 7);
    const edit = (text: string): string => {
      const at = random.nextInt(0, text.length);
      const sign = random.pick([...'0123456789+-*=x!?']);
      const kind = random.nextInt(0, 3);
      if (kind === 0) return text.slice(0, at) + sign + text.slice(at);
      if (kind === 1) return text.slice(0, at) + text.slice(at + 1);
      if (kind === 2) return text.slice(0, at) + sign + text.slice(at + 1);
      return text.slice(0, at) + text.slice(random.nextInt(at, text.length));
    };
    for (let i = 0; i < 2000; i++) {
      const problem = source.at(i);
      const style = i % 2 === 0 ? 'plain' : 'search';
      let text = task.demonstrate!(problem, style, new RandomStream(7, 'demo', i)).response;
      for (let edits = random.nextInt(1, 3); edits > 0; edits--) text = edit(text);
      const verdict = await task.grade(problem, said(text));
      expect([text, verdict.status === 'correct']).toEqual([text, bruteForce(problem, text)]);
      if (verdict.status === 'correct') accepted++;
      else refused++;
    }
    // Both sides of the comparison were met.
    expect(accepted).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(1000);
  });

  it('agrees with brute force on every response of one attempt', async () => {
    const mark = fc.constantFrom('!', '?', 'x');
    const digit = fc.nat(9);
    const operator = fc.constantFrom('+', '-', '*');
    await fc.assert(
      fc.asyncProperty(operator, operator, digit, digit, mark, async (a, b, r1, r2, m) => {
        const text = `9${a}2=${r1}${b}9=${r2}${m}`;
        expect((await task.grade(puzzle, said(text))).status === 'correct').toBe(bruteForce(puzzle, text));
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe('puzzles', () => {
  it('never come twice in a pass, and come again in another order', () => {
    const source = task.problems('test', 0);
    const pass = (number: number) =>
      Array.from({ length: source.size }, (_, i) => source.at(number * source.size + i).prompt);
    const [first, second] = [pass(0), pass(1)];
    expect(source.size).toBeGreaterThan(1000);
    expect(new Set(first).size).toBe(source.size);
    expect(second).not.toEqual(first);
    expect(second.toSorted()).toEqual(first.toSorted());
  });

  it('all have a solution, unless a share without is asked for', async () => {
    const answers = (unsolvable: number) => {
      const source = lastDigitTask({ unsolvable }).problems('train', 0);
      return Array.from({ length: 400 }, (_, i) => source.at(i).answer);
    };
    expect(answers(0)).not.toContain('none');
    expect(answers(0.25).filter((answer) => answer === 'none')).toHaveLength(100);
  });

  it('are right to give up without a solution, after every candidate', async () => {
    const some = lastDigitTask({ unsolvable: 1 });
    const problem = some.problems('train', 0).at(0);
    const { response } = some.demonstrate!(problem, 'search', new RandomStream(0, 'demo'));
    expect((await some.grade(problem, said(response))).status).toBe('correct');
    const early = response.slice(response.indexOf('x') + 1);
    expect((await some.grade(problem, said(early))).reason).toBe('gave up before every candidate was tried');
  });
});

describe('search demonstrations', () => {
  const texts = (giveUp: number | number[]) => {
    const made = lastDigitTask({ giveUp });
    const source = made.problems('train', 1);
    return Array.from({ length: 600 }, (_, i) => {
      const problem = source.at(i);
      const { response } = made.demonstrate!(problem, 'search', new RandomStream(1, 'demo', i));
      return { response, ...lastDigitSkills(problem, response) };
    });
  };

  it('show right results and right marks throughout', () => {
    for (const { tries, rightResults, rightMarks, wellFormed } of texts(0.5)) {
      expect([rightResults, rightMarks, wellFormed]).toEqual([tries, tries, true]);
    }
  });

  it('always end in success when nothing makes them give up', () => {
    expect(texts(0).some(({ gaveUp }) => gaveUp)).toBe(false);
    expect(texts([0, 0, 0, 0, 0, 0, 0, 0, 1]).some(({ gaveUp }) => gaveUp)).toBe(false);
  });

  it('give up after the number of tries that the weights say', () => {
    const made = texts([0, 1, 1]);
    expect(new Set(made.filter(({ gaveUp }) => gaveUp).map(({ tries }) => tries))).toEqual(new Set([2, 3]));
    expect(Math.max(...made.map(({ tries }) => tries))).toBe(3);
  });

  it('give up after a wrong try as often as the chance says', () => {
    const made = texts(0.6);
    const wrong = made.reduce((sum, { tries, gaveUp }) => sum + tries - (gaveUp ? 0 : 1), 0);
    const gaveUp = made.filter((text) => text.gaveUp).length;
    expect(gaveUp / wrong).toBeGreaterThan(0.55);
    expect(gaveUp / wrong).toBeLessThan(0.65);
    // So imitation alone stays low.
    expect(1 - gaveUp / made.length).toBeLessThan(0.35);
  });
});

describe('lastDigitSkills', () => {
  it.each([
    [NOTE, { tries: 5, rightResults: 5, rightMarks: 5, gaveUp: false, wellFormed: true }],
    ['9-2=7-9=2!', { tries: 1, rightResults: 0, rightMarks: 1, gaveUp: false, wellFormed: true }],
    ['9*2=8*9=2x9-2=7-9=8!', { tries: 2, rightResults: 2, rightMarks: 0, gaveUp: false, wellFormed: true }],
    ['9-2=7-9=8x9-2=7*9=3?', { tries: 2, rightResults: 2, rightMarks: 2, gaveUp: true, wellFormed: true }],
    ['9-2=7-9=8x9-2=', { tries: 1, rightResults: 1, rightMarks: 1, gaveUp: false, wellFormed: false }],
    ['', { tries: 0, rightResults: 0, rightMarks: 0, gaveUp: false, wellFormed: false }],
  ])('of %s', (text, skills) => {
    expect(lastDigitSkills(puzzle, text)).toEqual(skills);
  });
});
