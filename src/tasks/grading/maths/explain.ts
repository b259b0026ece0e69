import { cleanMaths, THOUSANDS } from './clean.js';
import { findAnswer, goldReadings, spokenPart, type AnswerPlace } from './extract.js';
import { gradeMaths, type GradeOptions, type MathsVerdict } from './grade.js';
import { Budget, LimitReached } from './limits.js';
import { keyOf, normalize } from './normal.js';
import { parseMaths } from './parser.js';
import { DEFAULT_PROFILE, type MathsProfile } from './profiles.js';

export interface Explanation {
  verdict: MathsVerdict;
  /** What each stage made of both sides. */
  steps: { name: string; gold: string; answer: string }[];
}

/** The stages of grading one reply, for a person: what was extracted, cleaned, parsed, brought to a normal form. */
export function explainMaths(gold: string, reply: string, options: GradeOptions = {}): Explanation {
  const { profile = DEFAULT_PROFILE } = options;
  const verdict = gradeMaths(gold, reply, options);
  const said = spokenPart(reply, profile.thinking) ?? '';
  const found = findAnswer(profile.tail === undefined ? said : said.slice(-profile.tail), profile.places);
  const wanted = goldReadings(gold)[0] ?? gold;
  const answer = verdict.extracted ?? found?.readings[0] ?? '';
  const both = (name: string, of: (text: string) => string) => ({
    name,
    gold: of(wanted),
    answer: answer === '' ? '' : of(answer),
  });
  const steps = [
    { name: `extracted (${verdict.place ?? 'nowhere'})`, gold: wanted, answer },
    both('cleaned', (text) => cleanMaths(text).replaceAll(THOUSANDS, '')),
    both('normal form', normalForm),
  ];
  return { verdict, steps };
}

function normalForm(text: string): string {
  try {
    const budget = new Budget();
    const parsed = parseMaths(text, 'thousands', budget);
    return 'node' in parsed ? keyOf(normalize(parsed.node, budget)) : `no mathematics: ${parsed.unreadable}`;
  } catch (error) {
    if (error instanceof LimitReached) return `beyond the limits: ${error.message}`;
    throw error;
  }
}

/** A reply that gives a gold answer as it is, marked in the way that a profile reads first. */
export function goldReply(gold: string, profile: MathsProfile = DEFAULT_PROFILE): string {
  const line = gold.replace(/\s+/g, ' ').trim();
  const [place = 'boxed'] = profile.places[0] ?? [];
  const marks: Partial<Record<AnswerPlace, string>> = {
    'answer-line': `Answer: ${line}`,
    hash: `#### ${line}`,
    tag: `<answer>${line}</answer>`,
    bracket: `[${line}]`,
    letter: line,
    'last-number': line,
  };
  const thought = profile.thinking === 'required' ? '<think></think>' : '';
  return `${thought}${marks[place] ?? `The answer is \\boxed{${line}}.`}`;
}
