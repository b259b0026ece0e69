/**
 * Prompt of Multi-round Thinking, verbatim. Source: arXiv 2503.19855, section 3.1 (the paper publishes no code and
 * states no licence for the text; one sentence, quoted). Slots: the original prompt, and the answer of the last round.
 */
export const AGAIN_PROMPT = [
  '{Original question prompt}',
  "The assistant's previous answer is: <answer> {last round answer} </answer>, and please re-answer.",
].join('\n');
