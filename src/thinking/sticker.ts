import { fillSlots, siftPrompts } from './prompts/index.js';

const TAG = '**Conditions:**';
const FENCE = '```';

/**
 * Cleans a Sticker as the public code does (repository zhijie-group/SIFT, abs_postprocessing*.py): from the first
 * `**Conditions:**` to the second, if there is one, then up to the first triple backtick. Without the tag the text stays
 * as it is.
 */
export function cleanSticker(text: string): string {
  const start = text.indexOf(TAG);
  if (start < 0) return text;
  const second = text.indexOf(TAG, start + TAG.length);
  const kept = text.slice(start, second < 0 ? undefined : second);
  return (kept.split(FENCE)[0] as string).trim();
}

const DEMAND = 'Please reason step by step, and put your final answer within \\boxed{}.';

/** The question without the demand for a format at its end: SIFT's prompts state their own. */
export function bareQuestion(prompt: string): string {
  const trimmed = prompt.trimEnd();
  return trimmed.endsWith(DEMAND) ? trimmed.slice(0, -DEMAND.length).trimEnd() : prompt;
}

/** The prompts of SIFT, filled. */
export const ask = {
  sticker: (question: string) => fillSlots(siftPrompts.STICKER_PROMPT, { question }),
  optimised: (question: string, abstract: string) => fillSlots(siftPrompts.OPTIMISE_PROMPT, { question, abstract }),
  inverted: (prediction: string) => fillSlots(siftPrompts.INVERT_PROMPT, { prediction }),
  fromSticker: (abstract: string) => fillSlots(siftPrompts.STICKER_ONLY_PROMPT, { abstract }),
  fromBoth: (question: string, abstract: string) =>
    fillSlots(siftPrompts.QUERY_AND_STICKER_PROMPT, { question, abstract }),
  fromQuestion: (question: string) => fillSlots(siftPrompts.QUERY_ONLY_PROMPT, { question }),
};
