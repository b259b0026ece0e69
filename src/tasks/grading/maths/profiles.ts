import { DEFAULT_RULES, type CompareRules } from './rules.js';
import type { AnswerPlace, ThinkingRule } from './extract.js';

/** A set of rules: where an answer may stand in a reply, and when it is the gold answer. docs/graders.md says why. */
/** Counts changes of the maths grader that can change a verdict. */
export const MATHS_GRADER_VERSION = 2;

export interface MathsProfile {
  name: string;
  /** Where the rules come from. */
  source: string;
  thinking: ThinkingRule;
  /** Groups of places in order of trust; within a group the last in the text wins. */
  places: readonly (readonly AnswerPlace[])[];
  /** Only so many characters at the end of the reply are read. */
  tail?: number;
  /** `maths`: by meaning; `text`: the writings are equal; `minerva`: equal after Minerva's normalisation; `letter`: option letters; `number`: exact numbers. */
  compare: 'maths' | 'text' | 'minerva' | 'letter' | 'number';
  rules: CompareRules;
}

const MARKED: readonly (readonly AnswerPlace[])[] = [
  ['boxed', 'tag', 'hash', 'final-answer'],
  ['answer-line'],
  ['answer-is'],
];

const DEFAULT: MathsProfile = {
  name: 'default',
  source: 'hone',
  thinking: 'optional',
  places: [...MARKED, ['whole'], ['math', 'conclusion'], ['last-number']],
  compare: 'maths',
  rules: DEFAULT_RULES,
};

const PROFILES: readonly MathsProfile[] = [
  DEFAULT,
  {
    ...DEFAULT,
    name: 'math-verify-like',
    source: 'Math-Verify 0.9, src/math_verify/parser.py and grader.py with the settings of its tests (boxed first)',
    rules: { ...DEFAULT_RULES, percent: 'either', relationForSet: false },
  },
  {
    ...DEFAULT,
    name: 'math',
    source: "hone: `default`, with 10 % and 10 the same, as MATH's golds leave the sign out as often as not",
    rules: { ...DEFAULT_RULES, percent: 'either' },
  },
  {
    ...DEFAULT,
    name: 'boxed',
    source: 'open-r1 and rllm: nothing counts outside \\boxed{}',
    places: [['boxed']],
    rules: { ...DEFAULT_RULES, percent: 'either' },
  },
  {
    ...DEFAULT,
    name: 'gsm8k',
    source:
      'hone tasks gsm8k: a marked answer, else the last number; numbers are equal as exact fractions, 50 % is 50 and 0.5',
    places: [['boxed'], ['hash'], ['tag'], ['answer-line'], ['last-number']],
    compare: 'number',
  },
  {
    ...DEFAULT,
    name: 'hash',
    source: 'verl, utils/reward_score/gsm8k.py, method strict: the number behind ####',
    places: [['hash']],
    compare: 'number',
  },
  {
    ...DEFAULT,
    name: 'dapo',
    source:
      'DAPO (2025), verl utils/reward_score/math_dapo.py: last 300 characters, "Answer:" line, Minerva normalisation',
    thinking: 'none',
    tail: 300,
    places: [['answer-line']],
    compare: 'minerva',
  },
  {
    ...DEFAULT,
    name: 'bare',
    source: 'hone: the text is the answer, without a reply around it; percent as in `math`',
    thinking: 'none',
    places: [['boxed'], ['whole'], ['math'], ['last-number'], ['prose']],
    rules: { ...DEFAULT_RULES, percent: 'either' },
  },
  {
    ...DEFAULT,
    name: 'exact',
    source: 'hone: the writing of a marked answer is that of the gold one',
    places: MARKED,
    compare: 'text',
  },
  {
    ...DEFAULT,
    name: 'choice',
    source: 'lighteval and Math-Verify StringExtractionConfig: an option letter that stands alone',
    places: [['letter']],
    compare: 'letter',
  },
  {
    ...DEFAULT,
    name: 'bracket',
    source: 'EasyR1-style geometry rewards, AReaL geometry3k: the last [...], else as `default`',
    places: [['bracket'], ...DEFAULT.places],
  },
  {
    ...DEFAULT,
    name: 'last-number',
    source: 'SkyThought and others: the last number of the reply',
    places: [['last-number']],
  },
];

export const MATHS_PROFILES: ReadonlyMap<string, MathsProfile> = new Map(
  PROFILES.map((profile) => [profile.name, profile]),
);
export const DEFAULT_PROFILE = DEFAULT;
