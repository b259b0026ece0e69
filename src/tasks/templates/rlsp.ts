import type { PromptTemplate } from './types.js';

const common = {
  system: 'RLSP',
  source: 'GuanghaoYe/Emergence-of-Thinking, commit e7feea7 (arXiv 2502.06773)',
  licence: 'Apache-2.0',
  format: 'raw',
} as const;

export const rlspLlama: PromptTemplate = {
  ...common,
  name: 'rlsp-llama',
  text: '<|start_header_id|>user<|end_header_id|>\n\nProblem: {problem}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
};

export const rlspQwen: PromptTemplate = {
  ...common,
  name: 'rlsp-qwen',
  text: '<|im_start|>user\nProblem:{problem}<|im_end|>\n<|im_start|>assistant\n',
};
