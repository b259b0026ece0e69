import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  actionEffort,
  cosineLengthReward,
  formatCheck,
  FORMATS,
  garbagePatterns,
  languageMixing,
  lengthBand,
  perplexity,
  reflectionKeywords,
  repetitionShare,
  rlspLength,
  rlspLengthTerm,
  searchEffort,
  suffixRepetition,
  unreadableShare,
} from '../../../src/tasks/index.js';

describe('repetitionShare', () => {
  it.each([
    ['a b c d e f', 2, 0],
    ['a b a b a b', 2, 1 - 2 / 5],
    ['Wait. Wait, wait! wait', 1, 3 / 4],
    ['one two', 3, 0],
    ['', 1, 0],
    ['好好好好', 2, 1 - 1 / 3],
  ])('%j in %d-grams', (text, n, share) => {
    expect(repetitionShare(text, n)).toBeCloseTo(share, 12);
  });

  it('counts n-grams as a plain set of joined n-grams does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        (ids, n) => {
          const grams = Array.from({ length: Math.max(0, ids.length - n + 1) }, (_, at) =>
            ids.slice(at, at + n).join(),
          );
          const expected = grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length;
          expect(repetitionShare(Int32Array.from(ids), n)).toBeCloseTo(expected, 12);
        },
      ),
    );
  });

  it('refuses an n that is no length', () => {
    expect(() => repetitionShare('a b', 0)).toThrow(/whole number/);
  });
});

describe('suffixRepetition', () => {
  it('equals its formula on all suffixes in sorted order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 30 }), (ids) => {
        const suffixes = ids.map((_, at) => ids.slice(at).join('')).sort();
        const lcp = (a: string, b: string): number => {
          let at = 0;
          while (at < a.length && at < b.length && a[at] === b[at]) at++;
          return at;
        };
        const sum = suffixes.slice(1).reduce((total, suffix, at) => total + lcp(suffix, suffixes[at] as string), 0);
        expect(suffixRepetition(ids)).toBeCloseTo((2 * sum) / (ids.length * (ids.length + 1)), 12);
      }),
    );
  });
});

describe('languageMixing', () => {
  it.each([
    ['Let $\\alpha = x$ and solve \\frac{1}{2} for x.', 'latin', 0],
    ['Сначала solve the equation', 'latin', 1 / 4],
    ['所以 the answer 是五', 'han', 2 / 6],
    ['これは日本語です', 'kana', 0],
    ['이 문제는 數學 문제', 'hangul', 0],
    ['`код` and ```\nкод\n``` are left out', 'latin', 0],
    ['3 + 4 = 7', undefined, 0],
  ])('%j', (text, main, mixing) => {
    const mix = languageMixing(text);
    expect(mix.main).toBe(main);
    expect(mix.mixing).toBeCloseTo(mixing, 12);
  });

  it('measures against a home that the caller names', () => {
    expect(languageMixing('ответ пять', 'latin').mixing).toBe(1);
  });
});

it('counts characters that cannot be read', () => {
  expect(unreadableShare('ab\uFFFD\u0007')).toBe(0.5);
  expect(unreadableShare('a\n\tb é 好 😀')).toBe(0);
});

describe('reflectionKeywords', () => {
  it('counts whole words by class', () => {
    const text = 'Wait, let me verify. Waiting helps; however, I double\ncheck: correct, incorrect.';
    expect(reflectionKeywords(text)).toEqual({
      classes: { verification: 2, reflection: 2, correction: 1 },
      total: 5,
    });
  });

  it('matches Open-Reasoner-Zero patterns as written, case and comma included', () => {
    expect(reflectionKeywords('wait, Wait, wait. However, recheck it', 'open-reasoner-zero').total).toBe(2);
  });

  it('refuses a list that is not there', () => {
    expect(() => reflectionKeywords('', 'nothing' as 'still-3')).toThrow(/no list of keywords/);
  });
});

describe('formatCheck', () => {
  const shape = FORMATS['think-answer'];
  it.each([
    ['<think>a</think><answer>5</answer>', []],
    ['<think>a</think>\n<answer>5</answer>\n', []],
    ['<answer>5</answer><think>a</think>', ['think, answer in this order', 'nothing outside of the tags']],
    ['<think>a</think><answer>5</answer> more', ['nothing outside of the tags']],
    ['<think> </think><answer>5</answer>', ['no tag is empty']],
    [
      '<think>a</think><answer>5</answer><answer>6</answer>',
      [
        '<answer> opens once',
        '</answer> closes once',
        'think, answer in this order',
        'no tag is empty',
        'nothing outside of the tags',
      ],
    ],
  ])('%j', (text, broken) => {
    const report = formatCheck(text, shape);
    expect(report.broken).toEqual(broken);
    expect(report.ok).toBe(broken.length === 0);
  });

  it('takes the first tag as opened where the template opens it', () => {
    const report = formatCheck('a</think><answer>5</answer>', { ...shape, opened: true });
    expect(report).toMatchObject({ ok: true, share: 1, parts: { think: 'a', answer: '5' } });
  });

  it.each([
    ['\\boxed{1}', true],
    ['\\boxed{\\frac{1}{2}}', true],
    ['\\boxed{1', false],
    ['\\boxed{1} or \\boxed{2}', false],
    ['nothing', false],
  ])('one box in %j: %s', (text, ok) => {
    expect(formatCheck(text, FORMATS.boxed).ok).toBe(ok);
  });

  it('wants the box behind the thought', () => {
    expect(formatCheck('<think>\\boxed{1}</think>', FORMATS['think-boxed']).broken).toEqual(['boxes behind all tags']);
    expect(formatCheck('<think>a</think>\\boxed{1}', FORMATS['think-boxed']).ok).toBe(true);
  });
});

describe('lengths', () => {
  it.each([
    [50, 1],
    [90, 0.5],
    [200, 0],
    [0, 0.5],
  ])('lengthBand(%d) between 10 and 80 with slack 20 is %d', (length, value) => {
    expect(lengthBand(length, { min: 10, max: 80, slack: 20 })).toBeCloseTo(value, 12);
  });

  it('cosine reward goes from its short to its long end', () => {
    const rewards = { correct: [2, 1], wrong: [-10, 0], exceeded: -10 } as const;
    expect(cosineLengthReward(0, 100, true, rewards)).toBe(2);
    expect(cosineLengthReward(50, 100, false, rewards)).toBeCloseTo(-5, 12);
    expect(cosineLengthReward(100, 100, true, rewards)).toBe(-10);
  });
});

describe('effort', () => {
  it('RLSP: -P over a quarter of the characters before the last box', () => {
    expect(rlspLength(`${'x'.repeat(4000)}\\boxed{1}`)).toBe(1000);
    expect(rlspLengthTerm(1000, 1000)).toBe(-1);
    expect(() => rlspLengthTerm(0, 1000)).toThrow(/divides by the length/);
  });

  it('counts actions to a cap, and distinct candidates once', () => {
    expect(actionEffort('but wait but wait', 8)).toBe(0.5);
    expect(actionEffort('but '.repeat(50))).toBe(1);
    const marks = { candidate: /\d+\+\d+/, backtrack: /<(?=.)/, cap: 6 };
    expect(searchEffort('1+2<1+2<3+4', marks)).toBeCloseTo(4 / 6, 12);
  });
});

describe('garbagePatterns', () => {
  it('names what is beyond its limit, and looks at nothing else', () => {
    const text = 'да да да да да да so';
    const limits = { repetition: { share: 0.5, n: 2 }, mixing: { share: 0.1, home: 'latin' as const } };
    expect(garbagePatterns({ text }, limits)).toEqual(['repetition', 'mixing']);
    expect(garbagePatterns({ text, tokens: [1, 2, 3, 4] }, { repetition: { share: 0.5, n: 2 } })).toEqual([]);
    expect(garbagePatterns({ text, stopReason: 'length' }, { cutOff: true })).toEqual(['cut-off']);
    expect(garbagePatterns({ text }, {})).toEqual([]);
  });

  it('perplexity is exp of the mean surprise, and needs log-probabilities', () => {
    expect(perplexity([Math.log(0.5), Math.log(0.125)])).toBeCloseTo(4, 12);
    expect(garbagePatterns({ text: 'a', logprobs: [-3] }, { perplexity: 20 })).toEqual(['perplexity']);
    expect(() => garbagePatterns({ text: 'a' }, { perplexity: 20 })).toThrow(/log-probabilities/);
  });
});
