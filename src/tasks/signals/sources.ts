import { HoneError } from '../../core/index.js';
import type { Task } from '../types.js';
import { signal, type Leaf } from './algebra.js';
import { formatCheck, type FormatRules } from './format.js';
import { garbagePatterns, type GarbageLimits } from './garbage.js';
import { keywordList, reflectionKeywords, type KeywordList, type KeywordListName } from './keywords.js';
import { languageMixing, type Script } from './language.js';
import { responseLength } from './length.js';
import { repetitionShare } from './repetition.js';

/** The score of another grader, with the answer that it read. */
export function answerSignal(grade: Task['grade'], name = 'answer'): Leaf {
  return signal(name, async ({ problem, response, signal: stop }) => {
    const verdict = await grade(problem, response, stop ? { signal: stop } : {});
    if (verdict.status === 'no_verdict')
      return { missing: verdict.cause === 'gold' ? 'gold' : 'grader', reason: verdict.reason };
    const { score: value, reason, extracted } = verdict;
    return { value, reason, ...(extracted === undefined ? {} : { extracted }) };
  });
}

/** 1 where the response keeps the format, else 0; with `partial` the share of its demands that hold. */
export function formatSignal(rules: FormatRules, options: { name?: string; partial?: boolean } = {}): Leaf {
  return signal(options.name ?? 'format', ({ response }) => {
    const { ok, share, broken } = formatCheck(response.text, rules);
    const reason = ok ? undefined : `not ${broken.join(', not ')}`;
    return { value: options.partial ? share : Number(ok), ...(reason === undefined ? {} : { reason }) };
  });
}

/** Share of repeated n-grams, in tokens where the response has them, else in words. */
export function repetitionSignal(n: number, name = 'repetition'): Leaf {
  return signal(name, ({ response: { tokens, text } }) => ({
    value: repetitionShare(tokens.length > 0 ? tokens : text, n),
  }));
}

/** Share of words in another script than the home one. */
export function mixingSignal(home?: Script, name = 'mixing'): Leaf {
  return signal(name, ({ response }) => ({ value: languageMixing(response.text, home).mixing }));
}

/**
 * Occurrences of the words of a list, or of one class of it.
 * @throws HoneError usage for a list or class that is not there.
 */
export function keywordSignal(
  list: KeywordListName | KeywordList,
  options: { name?: string; class?: string } = {},
): Leaf {
  const { source, classes } = keywordList(list);
  const only = options.class;
  const words = only === undefined ? classes : { [only]: classes[only] };
  if (only !== undefined && !Object.hasOwn(classes, only))
    throw new HoneError('usage', `the list has no class "${only}"`, {
      where: 'keywordSignal',
      hint: `Classes: ${Object.keys(classes).join(', ')}.`,
    });
  const counted = { source, classes: words as KeywordList['classes'] };
  return signal(options.name ?? 'keywords', ({ response }) => ({
    value: reflectionKeywords(response.text, counted).total,
  }));
}

/** Length of the response, or what `of` makes of it. */
export function lengthSignal(of: (length: number) => number = (length) => length, name = 'length'): Leaf {
  return signal(name, ({ response }) => ({ value: of(responseLength(response)) }));
}

/** 1 for a response without unexpected patterns, else 0. Log-probabilities come from its segments. */
export function cleanSignal(limits: GarbageLimits, name = 'clean'): Leaf {
  return signal(name, ({ response }) => {
    const logprobs = response.segments?.flatMap(({ source, logprobs: own }) =>
      source === 'model' && own ? [...own] : [],
    );
    const found = garbagePatterns({ ...response, ...(logprobs && logprobs.length > 0 ? { logprobs } : {}) }, limits);
    return { value: Number(found.length === 0), ...(found.length > 0 ? { reason: found.join(', ') } : {}) };
  });
}
