import type { PromptTemplate } from './types.js';

const common = {
  system: 'Dr. GRPO',
  source: 'sail-sg/understand-r1-zero, commit dfca49d, train_zero_math.py (arXiv 2503.20783)',
  licence: 'MIT, Copyright (c) 2025-present Zichen',
};

/** DeepSeek-R1-Zero's template as Dr. GRPO's code writes it; the stop string is kept in the response. */
export const r1: PromptTemplate = {
  ...common,
  name: 'r1',
  format: 'raw',
  text:
    'A conversation between User and Assistant. The User asks a question, and the Assistant solves it. ' +
    'The Assistant first thinks about the reasoning process in the mind and then provides the User with the answer. ' +
    'The reasoning process is enclosed within <think> </think> and answer is enclosed within <answer> </answer> tags, respectively, i.e., ' +
    '<think> reasoning process here </think> <answer> answer here </answer>.\nUser: {problem}\nAssistant: <think>',
  stop: ['</answer>'],
  thinking: 'required',
};

export const qwenMath: PromptTemplate = {
  ...common,
  name: 'qwen-math',
  format: 'raw',
  text:
    '<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n' +
    '<|im_start|>user\n{problem}<|im_end|>\n<|im_start|>assistant\n',
};

export const none: PromptTemplate = { ...common, name: 'none', format: 'raw', text: '{problem}' };
