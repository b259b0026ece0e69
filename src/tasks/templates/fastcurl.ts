import type { PromptTemplate } from './types.js';

/** DeepScaleR's instruction behind the problem, one space between; no system prompt. */
export const fastcurl: PromptTemplate = {
  name: 'fastcurl',
  system: 'FastCuRL',
  source: 'nick7nlp/FastCuRL, prompts of its training files (arXiv 2503.17287)',
  licence: undefined,
  format: 'chat',
  text: "{problem} Let's think step by step and output the final answer within \\boxed{}.",
};
