import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extractAnswer, gradeNumeric, parseNumber, type AnswerPolicy } from '../../src/tasks/index.js';

describe('extractAnswer', () => {
  it.each<[text: string, answer: string | undefined, rule: string | undefined]>([
    ['so \\boxed{12}', '12', 'boxed'],
    ['first \\boxed{1}, then \\boxed{2}.', '2', 'boxed'],
    ['\\boxed{\\frac{1}{\\sqrt{2}}}', '\\frac{1}{\\sqrt{2}}', 'boxed'],
    ['\\boxed{\\boxed{3}}', '3', 'boxed'],
    ['\\fbox {7}', '7', 'boxed'],
    ['\\boxed{\\{1, 2\\}}', '\\{1, 2\\}', 'boxed'],
    ['\\boxed{5} and then \\boxed{6', '5', 'boxed'],
    ['so 3 + 4 = 7\n#### 7', '7', 'hash'],
    ['#### 7\n#### 8\nbye', '8', 'hash'],
    ['<answer> 42 </answer> 5', '42', 'tag'],
    ['<answer>1</answer><answer>2</answer>', '2', 'tag'],
    ['Answer: 5', '5', 'answer-line'],
    ['**Final Answer:** 5 apples\n', '5 apples', 'answer-line'],
    ['ANSWER : \n 17', '17', 'answer-line'],
    ['Answer: The sum of all is 12,000. I hope it is correct.', '12,000', 'answer-line'],
    ['that makes $1,234.50 in all.', '1,234.50', 'last-number'],
    ['it went from 5 to -3', '-3', 'last-number'],
    ['10-5', undefined, undefined],
    ['it is 3/4.', '3/4', 'last-number'],
    ['it is $\\frac{5}{6}$', '\\frac{5}{6}', 'last-number'],
    ['it is $10^3$', undefined, undefined],
    ['\\boxed{}', undefined, undefined],
    ['no idea', undefined, undefined],
    ['', undefined, undefined],
    ['<think>\\boxed{1} 99</think> \\boxed{2}', '2', 'boxed'],
    ['<think>\\boxed{1}</think> no idea', undefined, undefined],
    ['Answer: 1\n#### 2\n<answer>3</answer>\n\\boxed{4}\n5', '4', 'boxed'],
    ['Answer: 1\n#### 2\n<answer>3</answer>\n5', '2', 'hash'],
    ['Answer: 1\n<answer>3</answer>\n5', '3', 'tag'],
    ['Answer: 1\n5', '1', 'answer-line'],
  ])('%j gives %j by %s', (text, answer, rule) => {
    expect(extractAnswer(text)).toEqual(answer === undefined ? undefined : { answer, rule });
  });

  it.each<[policy: AnswerPolicy, answer: string | undefined]>([
    [['tag', 'boxed'], '3'],
    [['hash'], undefined],
    [['last-number'], '5'],
  ])('keeps to the policy %j', (policy, answer) => {
    expect(extractAnswer('\\boxed{4} <answer>3</answer> 5', policy)?.answer).toBe(answer);
  });

  it('answers on a megabyte of anything', () => {
    for (const unit of [
      '\\boxed{',
      '{',
      '}',
      '\\',
      '####',
      '<answer>',
      '</answer>',
      'answer:',
      'answer ',
      '1',
      '1,',
      ' ',
      '-',
      '\\frac{',
      '</think>',
      '.1',
    ]) {
      const text = unit.repeat(Math.floor(1e6 / unit.length));
      const found = extractAnswer(text);
      if (found) expect(gradeNumeric('7', found.answer).equal).toBe(false);
      expect(gradeNumeric('7', text).equal).toBe(false);
    }
  });

  it('never throws', () => {
    const piece = fc.constantFrom(
      '\\boxed{',
      '}',
      '{',
      '\\',
      '####',
      '<answer>',
      '</answer>',
      'Answer:',
      '1',
      ',',
      '/',
      '-',
      '\n',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece), fc.string(), (pieces, text) => {
        const answer = extractAnswer(pieces.join(''))?.answer ?? '';
        expect(typeof gradeNumeric('3', answer + text).equal).toBe('boolean');
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

describe('gradeNumeric', () => {
  it.each([
    ['18', '18'],
    ['18', '$18'],
    ['18', '18.00'],
    ['18', '18 dollars per day'],
    ['18', 'x = 18'],
    ['18', '\\text{18}'],
    ['18', '(18)'],
    ['1234567', '1,234,567'],
    ['1234567', '1{,}234{,}567'],
    ['1234567', '1,\\!234,\\!567'],
    ['1234567', '1 234 567'],
    ['0.5', '\\frac{1}{2}'],
    ['0.5', '.5'],
    ['1/2', '2/4'],
    ['1/2', '\\dfrac12'],
    ['-1/2', '-\\frac{1}{2}'],
    ['-1/2', '\\frac{-1}{2}'],
    ['3/2', '1\\frac{1}{2}'],
    ['3/2', '1 1/2'],
    ['28\\%', '28 percent'],
    ['28\\%', '28'],
    ['28\\%', '0.28'],
    ['90^\\circ', '90'],
    ['125 \\text{ miles}', '125'],
    ['5 \\text{ cm}^2', '5'],
    ['3000', '3 \\times 10^{3}'],
    ['0.1', '1e-1'],
    ['1000000000000000000001', '1000000000000000000001.0'],
    ['-4', '−4'],
    ['(1, 2]', '\\left( 1,2 \\right]'],
    ['\\sqrt{2}', '$\\sqrt{2}$'],
    ['\\frac{\\pi}{2}', '\\dfrac{\\pi}{2}'],
  ])('%s equals %s, both ways round', (gold, answer) => {
    expect(gradeNumeric(gold, answer).equal).toBe(true);
    expect(gradeNumeric(answer, gold).equal).toBe(true);
  });

  it.each([
    ['18', '19'],
    ['18', '-18'],
    ['0.3333', '1/3'],
    ['1000000000000000000001', '1000000000000000000002'],
    ['12', '1,2'],
    ['123', '1,23'],
    ['1', '1/0'],
    ['2', '2\\pi'],
    ['2', '2x'],
    ['5', '5 or 6'],
    ['10', '10^3'],
    ['50\\%', '0.05'],
    ['(1,2)', '[1,2)'],
    ['7', 'seven'],
    ['7', ''],
    ['1e400', '1e999999999'],
  ])('%s differs from %s', (gold, answer) => {
    expect(gradeNumeric(gold, answer).equal).toBe(false);
  });

  it('has no verdict on an empty gold answer', () => {
    expect(gradeNumeric(' $$ ', '1').equal).toBeUndefined();
  });

  it('reads what it writes: any fraction, as a decimal with separators where it has one', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
        fc.integer({ min: 0, max: 12 }),
        (digits, places) => {
          const scale = 10n ** BigInt(places);
          const size = digits < 0n ? -digits : digits;
          const whole = (size / scale).toString().replace(/\B(?=(\d{3})+$)/g, ',');
          const fraction = places > 0 ? `.${(size % scale).toString().padStart(places, '0')}` : '';
          const written = `${digits < 0n ? '-' : ''}${whole}${fraction}`;
          const value = parseNumber(written)?.value;
          expect(value && value.numerator * scale === digits * value.denominator).toBe(true);
          expect(gradeNumeric(`\\frac{${digits}}{${scale}}`, written).equal).toBe(true);
          expect(gradeNumeric(`\\frac{${digits + 1n}}{${scale}}`, written).equal).toBe(false);
        },
      ),
      { seed: 4, numRuns: 200 },
    );
  });
});
