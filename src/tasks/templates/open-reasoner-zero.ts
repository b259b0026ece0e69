import type { PromptTemplate } from './types.js';

/** The prompt of the code; the paper's Table 1 lacks the line `This is the problem:`. The renderer puts BOS before it. */
export const orz: PromptTemplate = {
  name: 'orz',
  system: 'Open-Reasoner-Zero',
  source:
    'Open-Reasoner-Zero/Open-Reasoner-Zero, commit 3fdd9a0, playground/zero_setting_base.py (arXiv 2503.24290); stop strings: playground/orz_7b_ppo.py',
  licence: 'MIT, Copyright (c) 2025 Open-Reasoner-Zero',
  format: 'raw',
  text:
    'A conversation between User and Assistant. The User asks a question, and the Assistant solves it. ' +
    'The Assistant first thinks about the reasoning process in the mind and then provides the User with the answer. ' +
    'The reasoning process is enclosed within <think> </think> and answer is enclosed within <answer> </answer> tags, respectively, i.e., ' +
    '<think> reasoning process here </think> <answer> answer here </answer>. User: ' +
    'You must put your answer inside <answer> </answer> tags, i.e., <answer> answer here </answer>. ' +
    'And your final answer will be extracted automatically by the \\boxed{} tag.\n' +
    'This is the problem:\n{problem}\nAssistant: <think>',
  stop: ['User:', 'Human:', 'Assistant:', '</answer>'],
  thinking: 'required',
};
