import { describe, expect, it } from 'vitest';
import {
  agreementByKind,
  gradeMaths,
  gradePair,
  MATHS_PROFILES,
  pairSchema,
  type MathsProfile,
} from '../../../src/tasks/index.js';
import { attacks, ATTACKED_GOLDS } from '../../../verify/graders/attacks.js';

const profile = (name: string): MathsProfile => MATHS_PROFILES.get(name) as MathsProfile;

describe('gradeMaths reads', () => {
  it.each([
    ['the last box, with nested braces', '\\frac{1}{2}', 'first \\boxed{3}, no. So \\boxed{\\frac{1}{2}}.'],
    ['boxes that belong together', '1,2,3', '\\boxed{1}, \\boxed{2} and \\boxed{3}'],
    ['a box that is not closed', '\\frac{5055}{2^{15}}', 'So \\boxed{\\frac{5055}{2^{15}}'],
    ['a percent sign behind the formula', '28\\%', 'a loss of $28$ percent'],
    ['Answer: lines', '(3,-1)', 'We see.\n**Answer:** $(3, -1)$'],
    ['<answer>', '12', '<answer> 12 </answer>'],
    ['####', '18', 'so 9 * 2 = 18\n#### 18'],
    [
      'a final answer that comes after the box',
      '10455',
      '\\boxed{255} is the interest. Final Answer: The final answer is $10,455$. I hope it is correct.',
    ],
    ['the answer is', '34', 'The largest n is found, and the answer is 34.'],
    ['formulas', 'x \\ge 5', 'Therefore $x \\geq 5$ is the solution.'],
    ['the last number', '1000.99', 'the number is not 10 which is 1,000.99€'],
    ['a bare expression', '5', '3+2'],
    ['a label in another language', '105', 'Réponse : (35 + 70 = 105).'],
    ['the one amount of money in a marked sentence', '220', 'Answer: in 12 months she still has 220 $ to pay.'],
    ['a box without braces', '7', 'So \\boxed 7.'],
    ['displayed formulas in a row', 'x=1, y=2', '**Answer:** \\[ x = 1, \\] \\[ y = 2 \\]'],
    ['a gold answer in a sentence', 'answer is 0.25 + 3', '\\boxed{(1/2)^2 + \\sqrt{9}}'],
    ['what follows the thought of Sky-T1', '43', '<|begin_of_thought|>\\boxed{42}<|end_of_thought|> \\boxed{43}'],
    ['what follows the thought', '43', '<think>\\boxed{42}</think> It is \\boxed{43}.'],
  ])('%s', (_, gold, reply) => {
    expect(gradeMaths(gold, reply)).toMatchObject({ status: 'correct', score: 1 });
  });

  it('nothing before </think> where the thought has to be closed', () => {
    const required: MathsProfile = { ...profile('default'), thinking: 'required' };
    expect(gradeMaths('42', '\\boxed{42}', { profile: required })).toMatchObject({
      status: 'wrong',
      reason: 'the thought is not closed',
    });
    expect(gradeMaths('42', '</think>\\boxed{42}', { profile: required }).status).toBe('correct');
  });

  it('one answer alone: hedging is wrong', () => {
    expect(gradeMaths('1', '\\boxed{1} or \\boxed{2}').status).toBe('wrong');
    expect(gradeMaths('1', 'The answer is 1 or 2.').status).toBe('wrong');
  });

  it('no verdict from an empty gold answer', () => {
    expect(gradeMaths(' ', '\\boxed{1}')).toMatchObject({ status: 'no_verdict', cause: 'gold' });
  });
});

describe('profiles', () => {
  it.each([
    ['dapo', '42', 'Answer: \\boxed{42}', 'correct'],
    ['dapo', '42', 'just 42', 'wrong'],
    ['dapo', '0.5', 'Answer: \\frac{1}{2}', 'wrong'],
    ['dapo', '42', `Answer: 42${' '.repeat(400)}`, 'wrong'],
    ['gsm8k', '1,234', 'so 1234', 'correct'],
    ['gsm8k', '0.5', '\\boxed{50\\%}', 'correct'],
    ['hash', '42', 'The answer is 42', 'wrong'],
    ['exact', '\\frac{1}{2}', '\\boxed{\\frac{1}{2}}', 'correct'],
    ['exact', '\\frac{1}{2}', '\\boxed{0.5}', 'wrong'],
    ['default', '10', '\\boxed{10\\%}', 'wrong'],
    ['math', '10', '\\boxed{10\\%}', 'correct'],
    ['math-verify-like', '[-2,7]', '$-2 \\le x \\le 7$', 'wrong'],
    ['math-verify-like', '-2 \\le x \\le 7', '$[-2,7]$', 'correct'],
    ['boxed', '42', 'just 42', 'wrong'],
    ['choice', '(D) Alina', 'The answer: D, not A', 'correct'],
    ['choice', 'Alina and the answer is\n(C) Cecile', 'C', 'correct'],
    ['bracket', '90', 'The answer is 90 degrees.', 'correct'],
    ['dapo', '4.2e1', 'Answer: 42', 'correct'],
    ['boxed', '2,3', '\\boxed{1} thus but \\boxed{2} and \\boxed{3}', 'correct'],
  ])('%s: %s, %s: %s', (name, gold, reply, status) => {
    expect(gradeMaths(gold, reply, { profile: profile(name) }).status).toBe(status);
  });
});

describe('gradePair', () => {
  const pair = (row: object) => pairSchema.parse({ id: 1, kind: 'latex', ...row });

  it("takes the row's settings", () => {
    const row = { gold: '$(\\frac{3}{5},\\frac{8}{3}]$', pred: '$(0.6,2.6667]$' };
    expect(gradePair(pair({ ...row, precision: 2 })).status).toBe('correct');
    expect(gradePair(pair(row)).status).toBe('wrong');
    const near = { gold: '7 \\times 10^{35}, 0.002', pred: '0.001, 7.1 \\cdot 10^{35}' };
    expect(gradePair(pair({ ...near, abs_tolerance: [1e34, 0.001] })).status).toBe('correct');
    expect(gradePair(pair({ ...near, abs_tolerance: [1e33, 0.001] })).status).toBe('wrong');
    expect(gradePair(pair({ gold: '$f(x)$', pred: '$f(y)$', strict: false })).status).toBe('correct');
  });

  it('counts agreement by kind', () => {
    const pairs = [
      pair({ gold: '1', pred: '1', expected: true }),
      pair({ gold: '1', pred: '2', expected: true }),
      pair({ gold: '', pred: '2' }),
    ];
    const graded = pairs.map((one) => ({ pair: one, verdict: gradePair(one) }));
    expect(agreementByKind(graded)).toEqual([{ kind: 'latex', pairs: 3, expected: 2, agreed: 1, noVerdict: 1 }]);
  });
});

describe('attacks', () => {
  it('are never correct and never throw', () => {
    const short = attacks().filter(({ text }) => text.length < 1500);
    const fooled = short.filter(
      ({ text }, index) =>
        gradeMaths(ATTACKED_GOLDS[index % ATTACKED_GOLDS.length] as string, `\\boxed{${text}}`).status === 'correct',
    );
    expect(fooled).toEqual([]);
    expect(short.length).toBeGreaterThan(200);
  });
});
