import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers } from '../../../src/tasks/index.js';

const same = (gold: string, given: string) => compareAnswers(gold, given, { sameText: false }).equal;

describe('compareAnswers finds equal', () => {
  it.each([
    ['v^2_0', 'v_0^2'],
    ['7:30 \\text{ a.m.}', '7:30 AM'],
    ['\\begin{cases} x=1 \\\\ y=2 \\end{cases}', 'x=1, y=2'],
    ['\\boxed{p = 5, q = 2 \\quad \\text{and} \\quad p = 7, q = 2}', 'p=5,q=2;p=7,q=2'],
    ['6-5i', '(-1) 5 i + 6'],
    ['\\frac{d!}{2}', '\\frac{\\Gamma\\left(d + 1\\right)}{2}'],
    ['\\$36', '36'],
    ['\\$36', '3600 cents'],
    ['\\frac{1}{2}', '0.5'],
    ['\\frac12', '2/4'],
    ['7425000', '7,425,000'],
    ['1000.99', '1000,99'],
    ['11111111100', '11,\\! 111,\\! 111,\\! 100'],
    ['137 \\frac{1}{2}', '\\frac{275}{2}'],
    ['3\\sqrt{13}', '\\sqrt{117}'],
    ['\\frac{\\sqrt{3}}{3}', '1/√3'],
    ['\\frac{1}{3}', '0.\\overline{3}'],
    ['x^2+2x+1', '(x+1)^2'],
    ['\\tan^2(y)+1', '\\sec^2 y'],
    ['\\frac{(n-1)!}{k!} \\frac{n}{(n-k)!}', '\\frac{n!}{k!(n-k)!}'],
    ['\\frac{1}{3\\sqrt[3]{x}^2}', '\\frac{1}{3x^{2/3}}'],
    ['90^\\circ', '\\frac{\\pi}{2}'],
    ['10\\%', '10'],
    ['\\frac{1}{10}', '10\\%'],
    ['1 \\pm \\sqrt{19}', '1-\\sqrt{19}, 1+\\sqrt{19}'],
    ['\\{1\\pm\\sqrt{5},-2\\}', '-2, 1+\\sqrt{5}, 1-\\sqrt{5}'],
    ['[-2, 7]', 'x \\in [-2,7]'],
    ['-2 \\le x \\le 7', '[-2, 7]'],
    ['(-\\infty, 2) \\cup (3, \\infty)', '(3,+\\infty)\\cup(-\\infty,2)'],
    ['(-\\infty,1)\\cup(1,\\infty)', 'x \\ne 1'],
    ['0<f(x)<1', '(0,1)'],
    ['1\\leq|z|\\leq \\frac{3}{2}', '[-\\frac32,-1]\\cup[1,\\frac32]'],
    ['x < 1', '-x > -1'],
    ['2x+4y-3=0', 'y=-\\frac{1}{2}x+\\frac{3}{4}'],
    ['f(x)=x^2', 'f(t)=t^2'],
    ['(p,q)=(3,2)', '(3,2)'],
    ['p=5,q=2;p=7,q=2', '(5,2),(7,2)'],
    [
      '\\begin{pmatrix}6 & 8 \\\\ 10 & 12\\end{pmatrix}',
      '\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}+\\begin{bmatrix}5&6\\\\7&8\\end{bmatrix}',
    ],
    ['7:32', '14:64'],
    ['24 \\text{ km}', '24000 m'.replace(' m', '\\text{ m}')],
    ['15\\mbox{ cm}^2', '15'],
    ['\\text{even}', 'Even'],
    ['\\text{(C)}', 'C'],
    ['52_8', '42_{10}'],
    ['6-5i', '-5i+6'],
    ['e^{i\\pi}', '-1'],
    ['4.123105625617661', '\\sqrt{17}'],
    ['E**2 + I'.replace('E', 'e').replace('I', 'i'), 'E**2 + I'],
  ])('%s = %s', (gold, given) => {
    expect(same(gold, given)).toBe(true);
  });
});

describe('compareAnswers tells apart', () => {
  it.each([
    ['\\$36', '36^\\circ'],
    ['7:30 \\text{ a.m.}', '7:30 PM'],
    ['p = 5, q = 2, p = 7, q = 2', 'p=5,q=2;p=2,q=7'],
    ['(2) 7', '14'],
    ['5', '5.001'],
    ['3.15', '3.14159'],
    ['10', '10\\%'],
    ['2^{1009}', '2^{1009}+1'],
    ['x^2+2x+1', 'x^3+2x+1'],
    ['x', '|x|'],
    ['\\sqrt{x^2}', 'x'],
    ['(3,1)', '\\{1,3\\}'],
    ['(1,2)', '(2,1)'],
    ['-2,1', '(-2,1)'],
    ['[0,1)', '(0,1)'],
    ['x \\ge 5', 'x \\le 5'],
    ['7 = 11a+c', '11a+c'],
    ['1,2,3', '1,2'],
    ['1+\\sqrt{5}', '1\\pm\\sqrt{5}'],
    ['12:00', '1:00'],
    ['\\text{east}', 'seat'],
    ['no', 'on'],
    ['52', '52_8'],
    ['24 \\text{ km}', '24 \\text{ m}'],
    ['x=5', 'y=5'],
    ['42', '3000!/2999!'],
    ['1-\\cos\\frac{\\pi}{2^{98}}', '1-\\cos\\frac{\\pi}{2^{99}}'],
    ['32349', '32, 349'],
  ])('%s from %s', (gold, given) => {
    expect(same(gold, given)).toBe(false);
  });
});

describe('limits', () => {
  it('make the response wrong that hits them, and leave no verdict where the gold answer does', () => {
    const deep = `${'('.repeat(200)}5${')'.repeat(200)}`;
    expect(compareAnswers('5', deep)).toMatchObject({ equal: false, limit: 'response' });
    expect(compareAnswers(deep, '5')).toMatchObject({ equal: undefined, limit: 'gold' });
    expect(compareAnswers(deep, deep).equal).toBe(true);
  });

  it('leave towers of powers unevaluated', () => {
    expect(compareAnswers('5', '10^{10^{10^{10}}}').equal).toBe(false);
    expect(compareAnswers('10^{10^{10}}', '10^{10^{10}}', { sameText: false }).equal).toBe(true);
  });
});

const PIECES = [
  '\\frac',
  '{',
  '}',
  '\\sqrt',
  '^',
  '_',
  '(',
  ')',
  '[',
  ']',
  '1',
  '23',
  '.5',
  'x',
  ',',
  ';',
  '=',
  '<',
  '\\cup',
  '\\pm',
  '|',
  '\\{',
  '\\}',
  '&',
  '\\\\',
  '%',
  '!',
  '$',
  ' ',
  '-',
  '\\sin',
  ':',
  "'",
];
const anAnswer = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }).map((pieces) => pieces.join('')),
);

describe('properties', () => {
  it('takes any text, and every text that is not empty answers itself', () => {
    fc.assert(
      fc.property(anAnswer, (text) => {
        const { equal } = compareAnswers(text, text, { sameText: false });
        expect(text.trim() === '' || equal === true || equal === undefined).toBe(true);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it('is symmetric for numbers, roots and fractions', () => {
    const value = fc
      .tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 8 }))
      .map(([a, b, c]) => `\\frac{${a}\\sqrt{${c}}}{${b}}`);
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(same(a, b)).toBe(same(b, a));
      }),
      { seed: 5, numRuns: 150 },
    );
  });

  it('agrees with exact fractions', () => {
    const part = fc.integer({ min: -200, max: 200 });
    const whole = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(part, whole, part, whole, (a, b, c, d) => {
        expect(same(`\\frac{${a}}{${b}}`, `${c}/${d}`)).toBe(a * d === c * b);
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});
