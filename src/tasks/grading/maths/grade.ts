import { gradeNumeric } from '../../numeric.js';
import { ANSWER_RULES, extractAnswer } from '../../answers.js';
import type { Verdict } from '../../types.js';
import { correct, noVerdict, wrong } from '../../verdicts.js';
import { compareAnswers, type AnswerComparison, type CompareOptions, type DecidedBy } from './answers.js';
import { textKey } from './clean.js';
import { findAnswer, goldReadings, isReadable, spokenPart, type AnswerPlace, type Found } from './extract.js';
import { minervaForm, minervaGold } from './minerva.js';
import { DEFAULT_PROFILE, type MathsProfile } from './profiles.js';

/** A verdict on mathematics, with what it was decided by. */
export interface MathsVerdict extends Verdict {
  by?: DecidedBy;
  place?: AnswerPlace;
}

export interface GradeOptions extends CompareOptions {
  profile?: MathsProfile;
}

/** Places that a reply marks as its answer; elsewhere the answer is guessed. */
const MARKED: ReadonlySet<AnswerPlace> = new Set([
  'boxed',
  'tag',
  'hash',
  'final-answer',
  'answer-line',
  'answer-is',
  'bracket',
]);

/** The places of a profile that a reply has to mark: what is left of the rules when the reply was cut off. */
export const markedPlaces = (profile: MathsProfile): MathsProfile['places'] =>
  profile.places.map((group) => group.filter((place) => MARKED.has(place))).filter((group) => group.length > 0);

/**
 * Grades a reply against a gold answer by a profile's rules. The reply is read once: the best-marked place decides,
 * whatever else the text says. A limit that the reply hits makes it wrong (cause `response`); one that the gold answer
 * hits, and a gold answer that is empty, give no verdict (cause `gold`).
 */
export function gradeMaths(gold: string, reply: string, options: GradeOptions = {}): MathsVerdict {
  const { profile = DEFAULT_PROFILE, ...overrides } = options;
  if (gold.trim() === '') return noVerdict('gold', 'the gold answer is empty');
  const said = spokenPart(reply, profile.thinking);
  if (said === undefined) return wrong('the thought is not closed', { wellFormed: false });
  const found = findFor(profile, profile.tail === undefined ? said : said.slice(-profile.tail));
  if (!found) return wrong('no answer found', { wellFormed: false });
  return { ...judge(gold, found, profile, { ...profile.rules, ...overrides }), place: found.place };
}

function findFor(profile: MathsProfile, text: string): Found | undefined {
  if (profile.name !== 'gsm8k') return findAnswer(text, profile.places);
  const isLastNumberLeft = profile.places.some((group) => group.includes('last-number'));
  const found = extractAnswer(
    text,
    isLastNumberLeft ? 'default' : ANSWER_RULES.filter((rule) => rule !== 'last-number'),
  );
  return found && { readings: [found.answer], place: found.rule };
}

function judge(gold: string, found: Found, profile: MathsProfile, rules: CompareOptions): MathsVerdict {
  const [comparison, answer] = compareBy(profile.compare, gold, found, rules);
  const details = { extracted: answer, wellFormed: MARKED.has(found.place), by: comparison.by };
  if (comparison.equal === undefined) return noVerdict('gold', comparison.reason, details);
  if (comparison.equal) return correct(answer, comparison.reason, details);
  return wrong(comparison.reason, comparison.limit === 'response' ? { ...details, cause: 'response' } : details);
}

function compareBy(
  how: MathsProfile['compare'],
  gold: string,
  { readings }: Found,
  rules: CompareOptions,
): [AnswerComparison, string] {
  const first = readings[0] as string;
  switch (how) {
    case 'maths':
      return compareReadings(gold, readings, rules);
    case 'text':
      return [asComparison(textKey(gold) === textKey(first), 'text'), first];
    case 'minerva':
      return [asComparison(minervaGold(gold) === minervaForm(first), 'text'), first];
    case 'letter':
      return [asComparison(optionLetter(gold) === optionLetter(first), 'letter'), first];
    case 'number': {
      const { equal, reason } = gradeNumeric(gold, first);
      return [{ equal, by: 'number', reason }, first];
    }
  }
}

const asComparison = (equal: boolean, by: DecidedBy): AnswerComparison => ({
  equal,
  by,
  reason: equal ? 'the same writing' : 'not the same writing',
});

/** The letter of an option, given with or without its text: (D) Alina, D; else the letter that its text names. */
const optionLetter = (text: string): string =>
  (
    /^\W*([A-Za-z])(?![a-zA-Z])/.exec(text)?.[1] ??
    findAnswer(text, [['letter']])?.readings[0] ??
    text.trim()
  ).toUpperCase();

/**
 * The gold answer against the reading that can be read best. A reading in prose may also be the gold answer word for
 * word, and a gold answer in prose may have its formula alone repeated.
 */
function compareReadings(gold: string, readings: readonly string[], rules: CompareOptions): [AnswerComparison, string] {
  const chosen = readings.find(isReadable) ?? (readings[0] as string);
  const candidates = [...new Set([chosen, readings[0] as string])];
  let result: [AnswerComparison, string] | undefined;
  for (const wanted of goldReadings(gold))
    for (const candidate of candidates) {
      const comparison = compareAnswers(wanted, candidate, rules);
      if (comparison.equal) return [comparison, candidate];
      result ??= [comparison, candidate];
    }
  return result as [AnswerComparison, string];
}
