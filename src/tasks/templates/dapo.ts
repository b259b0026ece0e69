import type { PromptTemplate } from './types.js';

export const dapo: PromptTemplate = {
  name: 'dapo',
  system: 'DAPO',
  source: 'BytedTsinghua-SIA/DAPO, commit 33fe317, README.md (arXiv 2503.14476)',
  licence: undefined,
  format: 'chat',
  text:
    'Solve the following math problem step by step. The last line of your response should be of the form Answer: $Answer ' +
    '(without quotes) where $Answer is the answer to the problem.\n\n{problem}\n\n' +
    'Remember to put your answer on its own line after "Answer:".',
};
